// Command ehrsim runs one simulated EHR scheduling server alone: generated
// from a seed, or loaded from FHIR bundles, with a control API for its faults.
// See package slotgate/upstream/ehrsim.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"slotgate/upstream/ehrsim"
)

type flags struct {
	Listen         string        `default:"127.0.0.1:8090" help:"Address to listen on; port 0 takes any free one."`
	Name           string        `help:"Name of the health system."`
	Dialect        string        `enum:"argonaut,slots,ihe,epic,links" default:"argonaut" help:"Scheduling dialect: argonaut, slots, ihe (r4), epic (stu3) or links (files of a publisher, r4)."`
	FHIR           string        `name:"fhir" enum:"stu3,r4," default:"" help:"FHIR version: stu3 or r4; default: r4, and stu3 for epic."`
	Zone           string        `help:"IANA zone of all places, and of times without one."`
	Load           string        `type:"existingdir" help:"Serve the FHIR bundles (XML, JSON) of this folder."`
	ShiftTo        string        `help:"Move loaded dates by whole weeks, so that the first day is after this one: today, or 2026-11-24."`
	Practitioners  int           `default:"12" help:"Practitioners to generate."`
	Days           int           `default:"28" help:"Days open for booking, from today on."`
	Seed           uint64        `default:"1" help:"Same seed, same practice."`
	PageSize       int           `default:"50" help:"Entries on a page when the client gives no _count."`
	MaxCount       int           `default:"1000" help:"The largest _count that is honoured."`
	Calls          int           `default:"0" help:"Calls at once that are borne; over it everybody is locked out, which is told in words alone. 0: any number."`
	Lockout        time.Duration `default:"15m" help:"How long a lockout lasts, by the simulated clock (calls)."`
	Strangers      int           `default:"0" help:"Places that other clients have taken (calls)."`
	CallsApart     bool          `help:"Searches, reads and writes are counted each for themselves (calls)."`
	Bearer         string        `help:"Bearer token that requests must carry."`
	Login          string        `enum:"none,secret,smart" default:"none" help:"How clients get a token: none (they need none), secret, or smart (SMART Backend Services)."`
	ClientID       string        `default:"slotgate" help:"The client that may log in."`
	ClientSecret   string        `help:"Its secret (login secret)."`
	ClientKeys     string        `placeholder:"URL" help:"Its public keys, a JWKS, by URL or as JSON (login smart)."`
	TokenLife      time.Duration `default:"5m" help:"How long a token lives."`
	HoldFor        time.Duration `default:"5m" help:"How long a hold lasts, by the simulated clock (argonaut)."`
	StrictSlots    bool          `help:"Appointments need a free slot, which then follows them (slots); else bookings are taken blindly."`
	NoTransactions bool          `help:"No transactions (slots)."`
	Refusal        string        `help:"Shape in which a taken slot is refused: cancelled, conflict, outcome-fatal, no-slot, ..."`
	Notify         bool          `help:"Take Subscriptions, and tell of changes."`
	Heartbeat      time.Duration `default:"5m" help:"Between two empty notifications (notify)."`
	TimeScale      float64       `default:"1" help:"The simulated clock runs this many times faster."`
	Faults         string        `type:"existingfile" help:"JSON file of faults to begin with."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings handed in; it returns the exit code:
// 0 well, 1 failed, 2 wrong usage.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var f flags
	code := -1
	parser, err := kong.New(&f, kong.Name("ehrsim"), kong.Description("One simulated EHR scheduling server."),
		kong.Writers(out, errOut), kong.Exit(func(c int) { code = c }))
	if err != nil {
		fmt.Fprintln(errOut, "ehrsim:", err)
		return 1
	}
	_, err = parser.Parse(args)
	if code >= 0 {
		return code // help was asked for
	}
	var opts ehrsim.Options
	if err == nil {
		err = f.check()
	}
	if err == nil {
		opts, err = f.options(time.Now())
	}
	if err == nil {
		err = opts.Validate()
	}
	if err != nil {
		fmt.Fprintln(errOut, "ehrsim:", err)
		return 2
	}
	if err := serve(ctx, f.Listen, opts, out); err != nil {
		fmt.Fprintln(errOut, "ehrsim:", err)
		return 1
	}
	return 0
}

// serve runs until ctx ends, then gives requests under way ten seconds.
func serve(ctx context.Context, listen string, opts ehrsim.Options, out io.Writer) error {
	srv, err := ehrsim.New(opts)
	if err != nil {
		return err
	}
	base, err := srv.Start(context.WithoutCancel(ctx), listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n  curl '%s'\n", base, base+example(opts))
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return srv.Shutdown(ending)
}

func example(o ehrsim.Options) string {
	if o.Login.Kind != "" {
		return "/.well-known/smart-configuration"
	}
	switch o.Dialect {
	case ehrsim.Links:
		return "/$bulk-publish"
	case ehrsim.Slots:
		return "/Slot?status=free&_include=Slot:schedule&_count=5"
	case ehrsim.IHE, ehrsim.Epic: // whose operations are POSTed
		return "/metadata"
	}
	return "/Appointment/$find?_count=5"
}

// check refuses what no server can listen on, and numbers of which the options
// would make their default.
func (f flags) check() error {
	_, port, err := net.SplitHostPort(f.Listen)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		return fmt.Errorf("--listen %q: write host:port, such as 127.0.0.1:8090", f.Listen)
	}
	for name, wrong := range map[string]bool{
		"practitioners": f.Practitioners < 1, "days": f.Days < 1, "page-size": f.PageSize < 1, "max-count": f.MaxCount < 1, "lockout": f.Lockout <= 0,
		"time-scale": !(f.TimeScale > 0), "hold-for": f.HoldFor <= 0, "heartbeat": f.Heartbeat <= 0,
		"token-life": f.TokenLife <= 0,
	} {
		if wrong {
			return fmt.Errorf("--%s must be more than 0; leave it away for the default", name)
		}
	}
	return f.together()
}

// maxTimeScale is a year of the simulated clock in half a minute; far above it
// the clock runs out of years.
const maxTimeScale = 1_000_000

// together refuses what would be ignored, or answer nobody, beside the others.
func (f flags) together() error {
	switch {
	case f.TimeScale > maxTimeScale:
		return fmt.Errorf("--time-scale %v: want at most %d", f.TimeScale, maxTimeScale)
	case f.ShiftTo != "" && f.Load == "":
		return errors.New("--shift-to moves what is loaded; name its folder by --load")
	case f.Strangers != 0 && f.Calls == 0:
		return errors.New("--strangers take places of --calls; say how many there are")
	case f.Login == string(ehrsim.SmartLogin) && f.ClientKeys == "":
		return errors.New("--login smart needs --client-keys, the URL of the client's JWKS")
	case f.ClientKeys != "" && !isKeys(f.ClientKeys):
		return fmt.Errorf("--client-keys %q: write an http or https URL, such as https://127.0.0.1:8080/jwks.json, or the JWKS itself", f.ClientKeys)
	}
	return nil
}

// isKeys tells whether a text can be a key set, or the URL of one.
func isKeys(text string) bool {
	if strings.HasPrefix(text, "{") {
		return json.Valid([]byte(text))
	}
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

func (f flags) options(now time.Time) (ehrsim.Options, error) {
	o := ehrsim.Options{
		Name: f.Name, Dialect: ehrsim.Dialect(f.Dialect), FHIR: ehrsim.FHIR(f.FHIR), Zone: f.Zone, Seed: f.Seed,
		Practitioners: f.Practitioners, Days: f.Days, PageSize: f.PageSize, MaxCount: f.MaxCount, RequireBearer: f.Bearer, TimeScale: f.TimeScale,
		HoldFor: f.HoldFor, StrictSlots: f.StrictSlots, NoTransactions: f.NoTransactions, Refusal: f.Refusal,
		Notify:   ehrsim.Notify{Offered: f.Notify, Heartbeat: f.Heartbeat},
		Throttle: ehrsim.Throttle{Calls: f.Calls, Lockout: f.Lockout, Strangers: f.Strangers, Apart: f.CallsApart},
	}
	if f.Login != "none" {
		o.Login = ehrsim.Login{
			Kind: ehrsim.LoginKind(f.Login), ClientID: f.ClientID, Secret: f.ClientSecret, Keys: f.ClientKeys, Life: f.TokenLife,
		}
	}
	if f.Faults != "" {
		data, err := os.ReadFile(f.Faults)
		if err != nil {
			return o, err
		}
		if o.Faults, err = ehrsim.ReadFaults(data); err != nil {
			return o, err
		}
	}
	return f.load(o, now)
}

func (f flags) load(o ehrsim.Options, now time.Time) (ehrsim.Options, error) {
	if f.Load == "" {
		return o, nil
	}
	lo := ehrsim.LoadOptions{FHIR: o.FHIR, Zone: f.Zone}
	switch {
	case f.ShiftTo == "today":
		lo.ShiftTo = now
	case f.ShiftTo != "":
		day, err := time.Parse(time.DateOnly, f.ShiftTo)
		if err != nil {
			return o, fmt.Errorf("--shift-to %q: want today or a day such as 2026-11-24", f.ShiftTo)
		}
		lo.ShiftTo = day.Add(12 * time.Hour)
	}
	var err error
	o.Data, err = ehrsim.Load(f.Load, lo)
	return o, err
}
