package main

import (
	"strings"
	"testing"

	"slotgate/upstream/ehrsim"
)

func TestCheckWriteHoldsAndReleasesWhereASourceCanBeUsed(t *testing.T) {
	sim, base := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 5})
	good := write(t, t.TempDir(), "good.yaml", configText("redis://127.0.0.1:1/0", base))
	down := write(t, t.TempDir(), "down.yaml", configText("redis://127.0.0.1:1/0", "http://127.0.0.1:1"))
	for _, c := range []struct {
		name string
		args []string
		code int
		rows bool
	}{
		{"without the flag nothing is written", []string{"--config", good}, exitOK, false},
		{"with it the rows of writing follow", []string{"--config", good, "--write"}, exitOK, true},
		{"a source that is down is not written to", []string{"--config", down, "--write"}, exitFailed, false},
		{"nor is one that is not configured", []string{"--config", good, "--write", "--source", "nobody"}, exitUsage, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs screen
			code := run(t.Context(), append([]string{"check"}, c.args...), console{&out, &errs})
			has := 0
			for _, row := range []string{"hold", "exclusive", "lag", "release"} {
				for _, line := range strings.Split(out.String(), "\n") {
					if fields := strings.Fields(line); len(fields) > 2 && fields[1] == row && fields[2] == "works" {
						has++
					}
				}
			}
			if code != c.code || has != 0 && !c.rows || has != 4 && c.rows {
				t.Errorf("code %d, want %d; %d rows of writing: %s%s", code, c.code, has, out.String(), errs.String())
			}
		})
	}
	if left := sim.Appointments("pending", "booked"); len(left) > 0 {
		t.Errorf("left behind: %+v", left)
	}
}
