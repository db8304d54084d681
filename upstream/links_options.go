package upstream

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
)

// Files bend how published files are read (dialect links).
type Files struct {
	// FileEvery is how often the manifest and each file are asked for at most;
	// default: 1m, as the specification wants it.
	FileEvery config.Duration `yaml:"file_every"`
	// FileOrigins are further origins that a manifest may name files at, such as
	// https://files.example.org. No token is ever sent there.
	FileOrigins []string `yaml:"file_origins"`
	// States of the USA whose files are read, such as [MA, RI]; default: all.
	States []string `yaml:"states"`
	// LinkSource is put into the pages that callers are sent to, as their
	// parameter source: by it the clinic knows who sends them. Default: none.
	LinkSource string `yaml:"link_source"`
}

// SetDefaults fills in what was not given.
func (f *Files) SetDefaults() { setDefault(&f.FileEvery, config.Duration(time.Minute)) }

var stateCode = regexp.MustCompile(`^[A-Z]{2}$`)

// Validate tells everything that is wrong. Each message begins with the key.
func (f *Files) Validate() error {
	errs := []error{
		need("file_every", f.FileEvery > 0, "is %v; write a duration such as 1m", f.FileEvery),
		need("link_source", len(f.LinkSource) <= 200, "is longer than 200 characters; write a short name"),
	}
	for i, origin := range f.FileOrigins {
		_, err := originOf(origin)
		errs = append(errs, need(fmt.Sprintf("file_origins.%d", i), err == nil, "is %q; write one such as https://files.example.org", origin))
	}
	for i, state := range f.States {
		errs = append(errs, need(fmt.Sprintf("states.%d", i), stateCode.MatchString(state), "is %q; write two capitals such as MA", state))
	}
	return errors.Join(errs...)
}

var errNoOrigin = errors.New("upstream: no origin")

// originOf reads scheme, host and port, and nothing else.
func originOf(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errNoOrigin
	}
	return u, nil
}

func (f *Files) origins() []*url.URL {
	var list []*url.URL
	for _, text := range f.FileOrigins {
		if origin, err := originOf(text); err == nil {
			list = append(list, origin)
		}
	}
	return list
}

// wantsState tells whether a file of these states is read. One that tells none
// may hold anything.
func (f *Files) wantsState(states []string) bool {
	return len(f.States) == 0 || len(states) == 0 ||
		slices.ContainsFunc(states, func(state string) bool { return slices.Contains(f.States, state) })
}

// checkLinks refuses what a publisher of files cannot be asked to do.
func (o *Options) checkLinks() error {
	return need("fhir", o.FHIR == "" || o.FHIR == scheduling.R4, "is %q; SMART Scheduling Links are r4", o.FHIR)
}
