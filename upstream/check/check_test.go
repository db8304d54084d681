package check

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

// rows runs the check of a source that is bent for the test.
func rows(t *testing.T, bendSim func(*ehrsim.Options), bend func(*upstream.Options)) []Row {
	t.Helper()
	so := ehrsim.Options{Seed: 3, Practitioners: 4, Days: 10, Zone: "Europe/Vienna", Now: func() time.Time { return noon }}
	if bendSim != nil {
		bendSim(&so)
	}
	srv, err := ehrsim.New(so)
	if err != nil {
		t.Fatal(err)
	}
	base, err := srv.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	vienna, err := config.LoadZone("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	o := upstream.Options{ID: "src", Base: base, Dialect: upstream.Argonaut, Timezone: vienna}
	o.Limits.Rate, o.Limits.RetryWait = 1000, config.Duration(10*time.Millisecond)
	if bend != nil {
		bend(&o)
	}
	r, err := upstream.NewRegistry([]upstream.Options{o}, upstream.Deps{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	client, _ := r.Get("src")
	return Run(t.Context(), client)
}

// inShort is "config works, reachable works, ...".
func inShort(rows []Row) string {
	var parts []string
	for _, row := range rows {
		parts = append(parts, fmt.Sprintf("%s %s", row.Name, row.Verdict))
	}
	return strings.Join(parts, ", ")
}

const (
	upToDirectory = "config works, reachable works, login works, metadata works, directory works, "
	// The guide has insurance created and changed, not looked for.
	people = ", register works, coverage works with quirk"
)

func TestEachCapabilityIsARow(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sim    func(*ehrsim.Options)
		bend   func(*upstream.Options)
		want   string
		why    string // part of one of the reasons
		usable bool
	}{
		"all is well": {nil, nil, upToDirectory + "prefetch works" + people, "4 practitioners", true},
		"by slots": {
			func(o *ehrsim.Options) { o.Dialect = ehrsim.Slots },
			func(o *upstream.Options) { o.Dialect = upstream.Slots },
			upToDirectory + "slots works" + strings.TrimSuffix(people, " with quirk"), "2026-02-03: ", true,
		},
		"ihe": {
			func(o *ehrsim.Options) { o.Dialect = ehrsim.IHE },
			func(o *upstream.Options) { o.Dialect = upstream.IHE },
			upToDirectory + "find works" + strings.TrimSuffix(people, " with quirk"), "0 schedules", true,
		},
		"epic": {
			func(o *ehrsim.Options) { o.Dialect = ehrsim.Epic },
			func(o *upstream.Options) { o.Dialect = upstream.Epic },
			upToDirectory + "find works" + people, "none is sent", true,
		},
		"stu3": {
			func(o *ehrsim.Options) { o.FHIR = ehrsim.STU3 },
			func(o *upstream.Options) { o.FHIR = scheduling.STU3 },
			upToDirectory + "prefetch works" + people, "FHIR version agrees: stu3", true,
		},
		"another release than configured": {
			func(o *ehrsim.Options) { o.FHIR = ehrsim.STU3 }, nil,
			strings.Replace(upToDirectory, "metadata works", "metadata does not", 1) + "prefetch works" + people, "correct `fhir`", true,
		},
		"no prefetch": {
			func(o *ehrsim.Options) { o.NoPrefetch = true }, nil,
			upToDirectory + "find works with quirk" + people, "quirks.no_prefetch", true,
		},
		"no prefetch, and so configured": {
			func(o *ehrsim.Options) { o.NoPrefetch = true },
			func(o *upstream.Options) { o.Quirks.NoPrefetch = true },
			upToDirectory + "find works" + people, "open slots", true,
		},
		"no zone anywhere": {
			func(o *ehrsim.Options) { o.NoTimezone = true },
			func(o *upstream.Options) { o.Timezone = config.Zone{} },
			strings.Replace(upToDirectory, "config works", "config works with quirk", 1) + "prefetch does not" + people, "no-zone", false,
		},
		"every slot dangles": {
			func(o *ehrsim.Options) { o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultDangling, Path: "/Slot"}} }, nil,
			upToDirectory + "prefetch does not" + people, "unknown-schedule", false,
		},
		"some slots cannot be used": {
			func(o *ehrsim.Options) {
				o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultReversed, Path: "/Slot", Every: 3}}
			}, nil,
			upToDirectory + "prefetch works with quirk" + people, "ends-before-start", true,
		},
		"no slots at all": {
			func(o *ehrsim.Options) { o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultNoSlots, Path: "/Slot"}} }, nil,
			upToDirectory + "prefetch works with quirk" + people, "no open slots in the next 14 days", true,
		},
		"the answer is cut": {
			func(o *ehrsim.Options) { o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultWrongTotal, Path: "/Slot"}} }, nil,
			upToDirectory + "prefetch does not" + people, "not complete", false,
		},
		"a wrong token": {
			func(o *ehrsim.Options) { o.RequireBearer = "right" },
			func(o *upstream.Options) { o.Auth.Kind, o.Auth.Token = "bearer", config.NewSecret("wrong") },
			strings.Replace(upToDirectory, "directory works, ", "directory does not", 1), "source-login", false,
		},
		"a login that is refused": {
			nil, func(o *upstream.Options) {
				o.Auth.Kind, o.Auth.ClientID, o.Auth.ClientSecret, o.Auth.TokenURL = "client_secret", "x", config.NewSecret("y"), o.Base+"/token"
			},
			"config works, reachable works, login does not", "token endpoint refused us", false,
		},
		"it is down": {
			func(o *ehrsim.Options) { o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultReset}} }, nil,
			"config works, reachable does not", "source-down", false,
		},
		"it answers HTML": {
			func(o *ehrsim.Options) { o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultHTML}} }, nil,
			"config works, reachable works, login works, metadata does not, directory does not", "source-nonsense", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := rows(t, tc.sim, tc.bend)
			all := fmt.Sprint(got)
			if inShort(got) != tc.want || !strings.Contains(all, tc.why) || Usable(got) != tc.usable {
				t.Errorf("%s\nwant %s, usable %v, %q in\n%+v", inShort(got), tc.want, tc.usable, tc.why, got)
			}
			if strings.Contains(all, "maintenance") {
				t.Errorf("text of the source in %s", all)
			}
		})
	}
}

func TestNobodyThereIsToldAtOnce(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	got := rows(t, nil, func(o *upstream.Options) { o.Base = "http://" + ln.Addr().String() })
	if inShort(got) != "config works, reachable does not" || Usable(got) {
		t.Errorf("%+v", got)
	}
}
