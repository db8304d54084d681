package upstream

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

// A configuration that is read again leaves alone what it does not change: the
// client, and with it breakers, budget and directory.
func TestARenewedRegistryKeepsTheClientsOfSourcesThatStayTheSame(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	source := func(id, base string) Options {
		return Options{ID: scheduling.SourceID(id), Base: base, Dialect: Slots}
	}
	one, two, three := source("one", "http://127.0.0.1:1/fhir"), source("two", "http://127.0.0.1:2/fhir"), source("three", "http://127.0.0.1:3/fhir")
	before, err := NewRegistry([]Options{one, two}, Deps{Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	changed := two
	changed.Readonly = true
	if _, err := before.Renew([]Options{one, changed, {ID: "bad"}}); err == nil {
		t.Fatal("a source without an address is taken")
	}
	after, err := before.Renew([]Options{changed, three, one})
	if err != nil {
		t.Fatal(err)
	}
	same := func(id scheduling.SourceID) bool {
		a, _ := before.Get(id)
		b, _ := after.Get(id)
		return a == b
	}
	if !same("one") || same("two") || same("three") || len(after.Sources()) != 3 || after.Sources()[0].ID != "two" {
		t.Errorf("kept: one %v, two %v; %v", same("one"), same("two"), after.Sources())
	}
	gone, err := after.Renew([]Options{one})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ from, to *Registry }{{before, after}, {after, gone}} {
		if err := step.from.Retire(step.to); err != nil {
			t.Error(err)
		}
	}
	if shown := breakersShown(t, reg); !shown["one"] || shown["two"] || shown["three"] {
		t.Errorf("metrics of %v", shown)
	}
	if err := gone.Close(); err != nil || len(breakersShown(t, reg)) != 0 {
		t.Errorf("%v; metrics of %v", err, breakersShown(t, reg))
	}
}

// breakersShown are the sources of whose breakers the metrics tell.
func breakersShown(t *testing.T, reg *prometheus.Registry) map[string]bool {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, family := range families {
		if family.GetName() != "slotgate_upstream_breaker_open" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "source" {
					shown[label.GetValue()] = true
				}
			}
		}
	}
	return shown
}
