package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
)

type findCommand struct {
	At        string        `required:"" placeholder:"URL" help:"The gateway, such as http://127.0.0.1:8080."`
	TokenFile string        `type:"existingfile" placeholder:"FILE" help:"A file that holds the API key."`
	Specialty []string      `placeholder:"CODE" help:"A specialty: code or system|code. May be repeated."`
	VisitType []string      `placeholder:"CODE" help:"A visit type: code or system|code. May be repeated."`
	Location  []string      `placeholder:"TEXT" help:"Part of an address: city, state, zip code."`
	Near      string        `placeholder:"LAT|LONG|N|UNIT" help:"Places within a distance of a point, such as 37.77|-122.42|10|km."`
	Source    []string      `placeholder:"ID" help:"Only these sources."`
	From      string        `placeholder:"DATE" help:"The first day or instant."`
	To        string        `placeholder:"DATE" help:"The last day, or the instant before which to begin."`
	Count     int           `short:"n" default:"10" help:"How many to show."`
	JSON      bool          `name:"json" help:"Print the gateway's answer as it is."`
	Timeout   time.Duration `default:"10s" help:"How long to wait for the answer."`
}

// Run asks and prints a table, soonest first.
func (c findCommand) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := c.request(ctx)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("find: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("find: %w", err)
	}
	var answer findAnswer
	err = json.Unmarshal(body, &answer)
	if err != nil || res.StatusCode != http.StatusOK && len(answer.said()) == 0 {
		return fmt.Errorf("find: %s answers %s, and not in FHIR; is it a gateway, and not its admin listener?", c.At, res.Status)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("find: status %s: %s", res.Status, strings.Join(answer.said(), "; "))
	}
	if c.JSON {
		_, err = con.out.Write(append(body, '\n'))
		return err
	}
	return answer.print(con)
}

// request is the $find on the gateway's R4 base; at may be the gateway's
// address or one of its FHIR bases.
func (c findCommand) request(ctx context.Context) (*http.Request, error) {
	at, err := url.Parse(c.At)
	if err != nil || at.Host == "" || (at.Scheme != "http" && at.Scheme != "https") {
		return nil, &wrongConfig{fmt.Errorf("find: --at must be a URL such as http://127.0.0.1:8080")}
	}
	path := strings.TrimSuffix(at.Path, "/")
	if !strings.Contains(path, "/fhir/") {
		path += "/fhir/r4"
	}
	at.Path = path + "/Appointment/$find"
	at.RawQuery = c.query().Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("find: %w", err)
	}
	req.Header.Set("Accept", "application/fhir+json")
	if c.TokenFile == "" {
		return req, nil
	}
	key, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return nil, &wrongConfig{fmt.Errorf("find: %w", err)}
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	return req, nil
}

func (c findCommand) query() url.Values {
	q := url.Values{"_count": {strconv.Itoa(c.Count)}}
	q["specialty"], q["visit-type"] = c.Specialty, c.VisitType
	q["location-string"], q["source"] = c.Location, c.Source
	for name, value := range map[string]string{"near": c.Near, "start": c.From, "end": c.To} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// findAnswer is as much of the searchset (or of the OperationOutcome of a
// refusal) as the table shows.
type findAnswer struct {
	Total int         `json:"total"`
	Issue []findIssue `json:"issue"`
	Entry []struct {
		Resource findResource `json:"resource"`
	} `json:"entry"`
}

type findResource struct {
	Type            string        `json:"resourceType"`
	ID              string        `json:"id"`
	Start           string        `json:"start"`
	MinutesDuration int           `json:"minutesDuration"`
	Specialty       []findConcept `json:"specialty"`
	ServiceType     []findConcept `json:"serviceType"`
	Participant     []struct {
		Actor struct {
			Reference string `json:"reference"`
			Display   string `json:"display"`
		} `json:"actor"`
	} `json:"participant"`
	Issue []findIssue `json:"issue"`
}

type findConcept struct {
	Text   string `json:"text"`
	Coding []struct {
		Code    string `json:"code"`
		Display string `json:"display"`
	} `json:"coding"`
}

type findIssue struct {
	Severity    string      `json:"severity"`
	Diagnostics string      `json:"diagnostics"`
	Details     findConcept `json:"details"`
}

func (a findAnswer) print(con console) error {
	w := tabwriter.NewWriter(con.out, 0, 4, 2, ' ', 0)
	shown := 0
	_, _ = fmt.Fprintln(w, "WHEN\tMIN\tSPECIALTY\tWITH\tAT\tID")
	for _, entry := range a.Entry {
		r := entry.Resource
		if r.Type != "Appointment" {
			continue
		}
		shown++
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", when(r.Start), r.MinutesDuration,
			name(r.Specialty, r.ServiceType), r.actor("Practitioner/"), r.actor("Location/"), r.ID)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("find: %w", err)
	}
	_, _ = fmt.Fprintf(con.out, "%d of %d open\n", shown, a.Total)
	for _, text := range a.said() {
		_, _ = fmt.Fprintln(con.err, text)
	}
	return nil
}

// said is what the gateway warned of, a line each.
func (a findAnswer) said() []string {
	issues := a.Issue
	for _, entry := range a.Entry {
		issues = append(issues, entry.Resource.Issue...)
	}
	var lines []string
	for _, issue := range issues {
		text := issue.Details.Text
		if text == "" {
			text = issue.Diagnostics
		}
		if text != "" && issue.Severity != "information" {
			lines = append(lines, issue.Severity+": "+text)
		}
	}
	return lines
}

func (r findResource) actor(prefix string) string {
	for _, p := range r.Participant {
		if strings.Contains(p.Actor.Reference, prefix) {
			return p.Actor.Display
		}
	}
	return ""
}

// when shows an instant in the place's own zone, which its offset tells.
func when(instant string) string {
	t, err := time.Parse(time.RFC3339, instant)
	if err != nil {
		return instant
	}
	return t.Format("Mon 2006-01-02 15:04 -07:00")
}

// name is the first display of the first list that has one.
func name(lists ...[]findConcept) string {
	for _, list := range lists {
		for _, concept := range list {
			if concept.Text != "" {
				return concept.Text
			}
			for _, coding := range concept.Coding {
				if coding.Display != "" {
					return coding.Display
				}
			}
		}
	}
	return ""
}
