package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream"
)

// report prints the table, and hands the main figures to the benchmark.
func (r *regionRun) report(b *testing.B) {
	b.Helper()
	_, _ = io.WriteString(r.tell, r.table())
	b.ReportMetric(0, "ns/op") // a run is as long as it is told to be
	for i := range r.phases {
		p := &r.phases[i]
		suffix := []string{"-load", "-plain", "-cond"}[min(i, 2)]
		b.ReportMetric(p.slotsPerSecond()*p.decoded(), "slots/s"+suffix)
		b.ReportMetric(p.cpuPerSlot(), "cpu-us/slot"+suffix)
		if p.changed > 0 {
			b.ReportMetric(100*p.unchanged(), "unchanged%"+suffix)
			b.ReportMetric(float64(p.redis.writes)/float64(p.changed), "writes/changed"+suffix)
			b.ReportMetric(p.age.quantile(0, 0.99).Seconds(), "near-p99-s"+suffix)
			b.ReportMetric(p.age.quantile(2, 0.99).Seconds(), "far-p99-s"+suffix)
		}
	}
}

func (p *regionPhase) slotsPerSecond() float64 { return float64(p.ehrs.Slots) / p.took.Seconds() }

// cpuPerSlot is the gateway's own time for a slot that an EHR sent, in microseconds.
func (p *regionPhase) cpuPerSlot() float64 {
	return float64(p.cpu.Microseconds()) / max(1, float64(p.ehrs.Slots))
}

// unchanged is the share of answers about slots that were not decoded.
func (p *regionPhase) unchanged() float64 {
	return p.skipped() / max(1, float64(p.ehrs.Answers))
}

// skipped counts the answers that were not decoded: those that were 304, and
// those whose pages were known.
func (p *regionPhase) skipped() float64 {
	const name = "slotgate_upstream_pages_unchanged_total "
	return p.counted[name+"304"] + p.counted[name+"hash"]
}

// decoded is the share of the bytes received that were.
func (p *regionPhase) decoded() float64 {
	return 1 - p.counted["slotgate_upstream_unchanged_bytes_total"]/max(1, float64(p.ehrs.Bytes))
}

// row is one line of the table; a phase that has no such figure has "".
type row struct {
	what string
	of   func(p *regionPhase) string
}

func (r *regionRun) rows() []row {
	// What was saved up may be spent at once: see upstream's budget.
	burst := math.Max(4, math.Ceil(r.scale.Rate*r.scale.faster()/10))
	rows := []row{
		{"time", func(p *regionPhase) string { return p.took.Round(100 * time.Millisecond).String() }},
		{"slots that the EHRs sent", func(p *regionPhase) string { return thousands(float64(p.ehrs.Slots)) }},
		{"slots/s received", func(p *regionPhase) string { return thousands(p.slotsPerSecond()) }},
		{"slots/s decoded", func(p *regionPhase) string { return thousands(p.slotsPerSecond() * p.decoded()) }},
		{"MB/s received", func(p *regionPhase) string { return fmt.Sprintf("%.1f", float64(p.ehrs.Bytes)/1e6/p.took.Seconds()) }},
		{"CPU of the gateway and worker", func(p *regionPhase) string {
			return fmt.Sprintf("%.1f s (%.0f us a slot sent)", p.cpu.Seconds(), p.cpuPerSlot())
		}},
		{"CPU of Redis", func(p *regionPhase) string { return fmt.Sprintf("%.1f s", p.redis.cpu.Seconds()) }},
		{"answers about slots", func(p *regionPhase) string { return thousands(float64(p.ehrs.Answers)) }},
		{"- skipped as unchanged", func(p *regionPhase) string { return percent(p.skipped(), float64(p.ehrs.Answers)) }},
		{"- of these by 304", func(p *regionPhase) string { return percent(float64(p.ehrs.Spared), float64(p.ehrs.Answers)) }},
		{"- with nothing new in them", func(p *regionPhase) string {
			return percent(float64(p.ehrs.Spared+p.ehrs.Repeated), float64(p.ehrs.Answers))
		}},
		{"slots that changed", changedRow(func(p *regionPhase) string { return thousands(float64(p.changed)) })},
		{"writes to Redis", func(p *regionPhase) string { return thousands(float64(p.redis.writes)) }},
		{"- a changed slot", changedRow(func(p *regionPhase) string {
			return fmt.Sprintf("%.1f", float64(p.redis.writes)/float64(p.changed))
		})},
		{"- an answer", changedRow(func(p *regionPhase) string {
			return fmt.Sprintf("%.1f", float64(p.redis.writes)/max(1, float64(p.ehrs.Answers)))
		})},
		{"windows written a changed slot", changedRow(func(p *regionPhase) string {
			return fmt.Sprintf("%.2f", (p.counted["slotgate_cache_windows_total written"]+p.counted["slotgate_cache_windows_total removed"])/float64(p.changed))
		})},
		{"bytes to Redis a changed slot", changedRow(func(p *regionPhase) string { return thousands(float64(p.redis.in) / float64(p.changed)) })},
		{"calls a source and minute, mean", func(p *regionPhase) string {
			return fmt.Sprintf("%.1f", float64(p.ehrs.Calls)/float64(r.scale.Sources)/r.scale.practice(p.took).Minutes())
		}},
		{fmt.Sprintf("- most of one source in one minute; its budget is %.0f, and %.0f at once", 60*r.scale.Rate, burst), func(p *regionPhase) string { return fmt.Sprint(p.ehrs.Peak) }},
	}
	rows = append(rows, row{"commands of Redis an answer, the most frequent", func(p *regionPhase) string { return p.redis.most(8, p.ehrs.Answers) }})
	for i, tier := range scheduling.Tiers() {
		rows = append(rows,
			row{"staleness when asked, " + tier.Name + ": p50 / p99", changedRow(func(p *regionPhase) string { return both(p.age.quantile(i, 0.5), p.age.quantile(i, 0.99)) })},
			row{"- by the source's own time", changedRow(func(p *regionPhase) string { return both(p.valid[i].P50, p.valid[i].P99) })},
			row{"- a taken slot was offered for", changedRow(func(p *regionPhase) string { return both(p.lag.quantile(i, 0.5), p.lag.quantile(i, 0.99)) })})
	}
	for _, dialect := range []string{upstream.Slots, upstream.Argonaut, upstream.IHE, upstream.Epic, upstream.Links} {
		rows = append(rows, row{"staleness when asked, near, " + dialect + ": p50 / p99", changedRow(func(p *regionPhase) string {
			ages := slices.Sorted(slices.Values(p.near[dialect]))
			return both(quantile(ages, 0.5), quantile(ages, 0.99))
		})})
	}
	return append(rows,
		row{"taken slots never missed", changedRow(func(p *regionPhase) string { return fmt.Sprint(p.missed) })},
		row{"resident memory, gateway and worker", func(p *regionPhase) string { return megabytes(p.resident) }},
		row{"- heap in use", func(p *regionPhase) string { return megabytes(p.heap) }},
		row{"memory of Redis", func(p *regionPhase) string { return megabytes(int64(p.redis.memory)) }})
}

// changedRow is for figures that only a phase with changes has.
func changedRow(of func(p *regionPhase) string) func(p *regionPhase) string {
	return func(p *regionPhase) string {
		if p.changed == 0 {
			return ""
		}
		return of(p)
	}
}

// table is all figures in Markdown.
func (r *regionRun) table() string {
	var out strings.Builder
	out.WriteString("| |")
	for _, p := range r.phases {
		out.WriteString(" " + p.name + " |")
	}
	out.WriteString("\n|---|" + strings.Repeat("---|", len(r.phases)) + "\n")
	for _, one := range r.rows() {
		out.WriteString("| " + one.what + " |")
		for i := range r.phases {
			out.WriteString(" " + one.of(&r.phases[i]) + " |")
		}
		out.WriteString("\n")
	}
	return out.String()
}

// about says what was measured, where and when.
func (r *regionRun) about() string {
	s := r.scale
	return fmt.Sprintf("%s. %s, %d cores, %s. %s sources with %s open slots each over %d days, seed %d; %.3g %% of the slots change an hour. "+
		"A minute of practice took %v: the clock of the nearest days is every minute, limits.rate is %.3g a second.",
		time.Now().Format(time.DateOnly), machine(), runtime.NumCPU(), runtime.Version(),
		thousands(float64(s.Sources)), thousands(float64(s.Slots)), regionDays, s.Seed, 100*s.PerHour, s.Tick, s.Rate)
}

func machine() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOOS + " on " + runtime.GOARCH
}

// write puts the table and the plot into a folder. If that holds a page with the
// marks of the table, the table is put between them.
func (r *regionRun) write(folder string) {
	if folder == "" {
		return
	}
	text := r.about() + "\n\n" + r.table()
	put := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			r.Fatal(err)
		}
		r.say("wrote %s", filepath.Join(folder, name))
	}
	put("staleness.svg", []byte(r.plot()))
	page, err := os.ReadFile(filepath.Join(folder, "performance.md"))
	if err != nil {
		put("region.md", []byte(text))
		return
	}
	if page, err = between(page, "<!-- region -->", "<!-- /region -->", "\n"+text+"\n"); err != nil {
		r.Fatal(err)
	}
	put("performance.md", page)
}

// between puts text between two marks, each on a line of its own.
func between(page []byte, from, to, text string) ([]byte, error) {
	before, rest, ok := bytes.Cut(page, []byte(from+"\n"))
	_, after, ok2 := bytes.Cut(rest, []byte(to+"\n"))
	if !ok || !ok2 {
		return nil, fmt.Errorf("the page has no %s and %s, each on a line of its own", from, to)
	}
	return fmt.Appendf(nil, "%s%s\n%s%s\n%s", before, from, text, to, after), nil
}

func both(a, b time.Duration) string { return spoken(a) + " / " + spoken(b) }

// spoken is a duration as short as it can be understood.
func spoken(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	default:
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
}

func percent(part, whole float64) string { return fmt.Sprintf("%.0f %%", 100*part/max(1, whole)) }

func megabytes(n int64) string { return thousands(float64(n)/1e6) + " MB" }

// thousands is a number with a comma at every thousand.
func thousands(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
