package check

import (
	"testing"
	"time"

	"slotgate/config"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// tries runs the writing check, and before it the reading one where readToo says
// so, and gives the EHR for a look afterwards.
func tries(t *testing.T, so ehrsim.Options, bend func(*upstream.Options), readToo bool) ([]Row, *ehrsim.Server) {
	t.Helper()
	so.Seed, so.Practitioners, so.Days, so.Zone = 3, 4, 10, "Europe/Vienna"
	so.Now = func() time.Time { return noon }
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
	o := upstream.Options{ID: "src", Base: base, Dialect: string(so.Dialect), Timezone: vienna}
	o.Limits.Rate = 1000
	if bend != nil {
		bend(&o)
	}
	r, err := upstream.NewRegistry([]upstream.Options{o}, upstream.Deps{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	client, _ := r.Get("src")
	if readToo {
		Run(t.Context(), client)
	}
	return Write(t.Context(), client), srv
}

func TestWriteTellsHowASourceHoldsAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		so   ehrsim.Options
		bend func(*upstream.Options)
		want string
	}{
		"argonaut": {ehrsim.Options{Dialect: ehrsim.Argonaut}, nil, "hold works, exclusive works, lag works, release works"},
		"argonaut that does not say how long": {
			ehrsim.Options{Dialect: ehrsim.Argonaut, NoExpires: true},
			nil,
			"hold works with quirk, exclusive works, lag works, release works",
		},
		"argonaut without $hold": {ehrsim.Options{Dialect: ehrsim.Argonaut, NoHold: true}, nil, "hold works with quirk"},
		"slots":                  {ehrsim.Options{Dialect: ehrsim.Slots}, nil, "hold works, exclusive works, lag works, release works"},
		"ihe":                    {ehrsim.Options{Dialect: ehrsim.IHE}, nil, "hold works with quirk, exclusive works, lag works, release works"},
		"ihe without $hold":      {ehrsim.Options{Dialect: ehrsim.IHE, NoHold: true}, nil, "hold works with quirk"},
		"epic":                   {ehrsim.Options{Dialect: ehrsim.Epic}, nil, "hold works with quirk, cancel works with quirk"},
		"epic with PATCH":        {ehrsim.Options{Dialect: ehrsim.Epic, Patches: true}, nil, "hold works with quirk"},
		"a readonly source": {
			ehrsim.Options{Dialect: ehrsim.Slots},
			func(o *upstream.Options) { o.Readonly = true },
			"hold works with quirk",
		},
		"one that refuses": {
			ehrsim.Options{Dialect: ehrsim.Argonaut, Faults: []ehrsim.Fault{{Kind: ehrsim.FaultRefuse, Shape: "unprocessable"}}},
			nil,
			"hold does not",
		},
		"one that loses the answer": {
			ehrsim.Options{Dialect: ehrsim.Argonaut, Faults: []ehrsim.Fault{{Kind: ehrsim.FaultLost}}},
			nil,
			"hold does not",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, srv := tries(t, tc.so, tc.bend, false)
			if inShort(got) != tc.want {
				t.Errorf("%v\nwant %s", got, tc.want)
			}
			if left := srv.Appointments("pending", "booked"); len(left) > 0 {
				t.Errorf("left behind: %+v", left)
			}
			for _, slot := range srv.Slots("busy-tentative") {
				if slot.Version > 1 { // it was not so from the beginning
					t.Errorf("left behind: %+v", slot)
				}
			}
		})
	}
}
