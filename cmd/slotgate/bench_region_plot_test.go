package main

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"

	"slotgate/scheduling"
)

// The plot: how old what was asked for was, over time, by tier; a panel for each
// phase of refresh. It brings its own background, light or dark as the reader's
// machine is.
const (
	plotWidth, plotHeight = 920.0, 470.0
	plotTop, plotBottom   = 112.0, 410.0
	plotLeft, plotRight   = 84.0, 806.0
	plotGap               = 28.0
)

const plotStyle = `<style>
  .bg{fill:#ffffff}.title{fill:#1b1f24;font-size:17px;font-weight:600}.text{fill:#4a525c;font-size:12.5px}.panel{fill:#1b1f24;font-size:13px;font-weight:600}
  .grid{stroke:#dfe3e8;stroke-width:1}.axis{stroke:#8b949e;stroke-width:1}
  .p50{fill:none;stroke-width:2.2;stroke-linejoin:round}.p99{fill:none;stroke-width:1.6;stroke-dasharray:5 4;stroke-linejoin:round}
  .t0{stroke:#0b63c5}.t1{stroke:#b35900}.t2{stroke:#7a3db8}
  .l0{fill:#0b63c5;font-size:12.5px;font-weight:600}.l1{fill:#b35900;font-size:12.5px;font-weight:600}.l2{fill:#7a3db8;font-size:12.5px;font-weight:600}
  .key{stroke:#4a525c}
  @media (prefers-color-scheme: dark){
    .bg{fill:#0f1318}.title,.panel{fill:#e8ecf1}.text{fill:#aeb7c2}.grid{stroke:#262d36}.axis{stroke:#5c6672}.key{stroke:#aeb7c2}
    .t0{stroke:#6fb1ff}.t1{stroke:#ffab5c}.t2{stroke:#cc9cff}.l0{fill:#6fb1ff}.l1{fill:#ffab5c}.l2{fill:#cc9cff}
  }
</style>
`

// plotPanel is where one phase is drawn.
type plotPanel struct {
	left, right float64
	minutes     float64
	top         time.Duration
}

// plotFloor is the lowest age that is drawn.
const plotFloor = 10 * time.Second

func (p plotPanel) x(at time.Duration) float64 {
	return p.left + (p.right-p.left)*at.Minutes()/p.minutes
}

// y is logarithmic: the tiers' clocks lie far apart.
func (p plotPanel) y(age time.Duration) float64 {
	share := math.Log(float64(max(age, plotFloor))/float64(plotFloor)) / math.Log(float64(p.top)/float64(plotFloor))
	return plotBottom - (plotBottom-plotTop)*min(share, 1)
}

func (r *regionRun) plot() string {
	var out strings.Builder
	var phases []regionPhase
	top := 30 * time.Minute
	for _, p := range r.phases {
		if len(p.curve) == 0 {
			continue
		}
		phases = append(phases, p)
		for _, point := range p.curve {
			for _, age := range point.p99 {
				top = max(top, age)
			}
		}
	}
	title := fmt.Sprintf("How old an offer is when it is asked for: %s slots of %d sources",
		thousands(float64(r.scale.Sources*r.scale.Slots)), r.scale.Sources)
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" font-family="system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif">`+"\n",
		plotWidth, plotHeight, plotWidth, plotHeight)
	fmt.Fprintf(&out, "<title>%s</title>\n<desc>%s</desc>\n%s", html.EscapeString(title), html.EscapeString(r.plotWords(phases)), plotStyle)
	fmt.Fprintf(&out, `<rect class="bg" width="%g" height="%g" rx="6"/>`+"\n", plotWidth, plotHeight)
	words(&out, "title", 24, 34, "start", title)
	words(&out, "text", 24, 55, "start", fmt.Sprintf("age: time since the source last confirmed the offer; near: 2 days, middle: to 14 days, far: to %d days; %.3g %% of the slots change an hour",
		regionDays, 100*r.scale.PerHour))
	plotKey(&out)
	fmt.Fprintf(&out, `<text class="text" transform="translate(20,%.1f) rotate(-90)" text-anchor="middle">age when asked for</text>`+"\n", (plotTop+plotBottom)/2)
	width := (plotRight - plotLeft - plotGap*float64(len(phases)-1)) / float64(max(1, len(phases)))
	for i, phase := range phases {
		panel := plotPanel{left: plotLeft + float64(i)*(width+plotGap), top: top, minutes: phase.curve[len(phase.curve)-1].at.Minutes()}
		panel.right = panel.left + width
		panel.draw(&out, phase, i == 0, i == len(phases)-1)
	}
	out.WriteString("</svg>\n")
	return out.String()
}

// plotWords tell the plot to those who do not see it.
func (r *regionRun) plotWords(phases []regionPhase) string {
	var parts []string
	for _, p := range phases {
		for i, tier := range scheduling.Tiers() {
			parts = append(parts, fmt.Sprintf("%s, %s: half within %s, 99 %% within %s.", p.name, tier.Name,
				spoken(p.age.quantile(i, 0.5)), spoken(p.age.quantile(i, 0.99))))
		}
	}
	return strings.Join(parts, " ")
}

func words(out *strings.Builder, class string, x, y float64, anchor, text string) {
	fmt.Fprintf(out, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, html.EscapeString(text))
}

func plotKey(out *strings.Builder) {
	for i, name := range []string{"half of what is asked for (p50)", "99 % (p99)"} {
		x := 24 + float64(i)*250
		fmt.Fprintf(out, `<line class="%s key" x1="%g" y1="76" x2="%g" y2="76"/>`+"\n", []string{"p50", "p99"}[i], x, x+30)
		words(out, "text", x+38, 80, "start", name)
	}
}

func (p plotPanel) draw(out *strings.Builder, phase regionPhase, first, last bool) {
	words(out, "panel", p.left, plotTop-10, "start", phase.name)
	for _, age := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, time.Hour, 3 * time.Hour} {
		if age > p.top {
			break
		}
		fmt.Fprintf(out, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", p.left, p.y(age), p.right, p.y(age))
		if first {
			words(out, "text", p.left-8, p.y(age)+4, "end", tickWords(age))
		}
	}
	fmt.Fprintf(out, `<line class="axis" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", p.left, plotBottom, p.right, plotBottom)
	step := max(1, math.Ceil(p.minutes/8/5)*5)
	for minute := 0.0; minute <= p.minutes+0.01; minute += step {
		words(out, "text", p.x(time.Duration(minute*float64(time.Minute))), plotBottom+19, "middle", fmt.Sprintf("%.0f", minute))
	}
	words(out, "text", (p.left+p.right)/2, plotBottom+40, "middle", "minutes since the refresh began")
	p.curves(out, phase, last)
}

func (p plotPanel) curves(out *strings.Builder, phase regionPhase, last bool) {
	for i, tier := range scheduling.Tiers() {
		for _, half := range []bool{false, true} {
			var points []string
			for _, point := range phase.curve {
				age := point.p99[i]
				if half {
					age = point.p50[i]
				}
				if age > 0 {
					points = append(points, fmt.Sprintf("%.1f,%.1f", p.x(point.at), p.y(age)))
				}
			}
			class := "p99"
			if half {
				class = "p50"
			}
			fmt.Fprintf(out, `<polyline class="%s t%d" points="%s"/>`+"\n", class, i, strings.Join(points, " "))
		}
		if last && len(phase.curve) > 0 {
			end := phase.curve[len(phase.curve)-1]
			y := (p.y(end.p50[i]) + p.y(end.p99[i])) / 2
			words(out, fmt.Sprintf("l%d", i), p.right+10, y, "start", tier.Name)
			words(out, "text", p.right+10, y+15, "start", tierWords(i))
		}
	}
}

// tierWords say when a tier's turn is, by the defaults of the configuration.
func tierWords(i int) string {
	return []string{"each minute", "every 5 min", "every 20 min"}[i]
}

func tickWords(age time.Duration) string {
	switch {
	case age < time.Minute:
		return fmt.Sprintf("%.0f s", age.Seconds())
	case age < time.Hour:
		return fmt.Sprintf("%.0f min", age.Minutes())
	default:
		return fmt.Sprintf("%.0f h", age.Hours())
	}
}
