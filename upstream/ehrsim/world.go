package ehrsim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// world makes a practice from a seed: organizations with one to four locations
// each, people who work at one or two of them, and a calendar for every person
// at every place.
type world struct {
	opts  Options
	fl    flavour
	dice  *rand.Rand
	store *store
	used  map[string]bool // names given already

	orgs   []orgSite
	places []*place
}

type orgSite struct {
	id, name string
	places   []*place
}

type place struct {
	id, name, org string
	city          city
	zone          *time.Location
}

func (p *place) ref() object { return reference("Location/"+p.id, p.name) }

// generate fills an empty store with a practice.
func generate(o Options, fl flavour, st *store) error {
	w := &world{opts: o, fl: fl, dice: dice(o.Seed, "world", o.Zone), store: st, used: map[string]bool{}}
	w.makeOrganizations()
	if err := w.makePlaces(); err != nil {
		return err
	}
	for i := range o.Practitioners {
		w.makePractitioner(i)
	}
	return nil
}

func (w *world) makeOrganizations() {
	count := max(1, (w.opts.Practitioners+2)/4)
	for i := range count {
		name := w.opts.Name
		if i > 0 {
			name = w.fresh(func() string { return pick(w.dice, familyNames) + " " + pick(w.dice, groups) })
		}
		w.orgs = append(w.orgs, orgSite{id: "org-" + strconv.Itoa(101+i), name: name})
	}
}

// fresh draws until the name is one that nobody has, for a while at least:
// a very large practice may have two people of one name, as real ones do.
func (w *world) fresh(draw func() string) string {
	name := draw()
	for range 20 {
		if !w.used[name] {
			break
		}
		name = draw()
	}
	w.used[name] = true
	return name
}

// makePlaces gives every organization one to four locations. The first towns
// come in the order of the table, so that any practice of four places has four
// zones, Phoenix among them.
func (w *world) makePlaces() error {
	towns := citiesOf(w.opts.Zone)
	for i := range w.orgs {
		count := 1 + w.dice.IntN(4)
		if i == 0 && w.opts.Practitioners >= 4 {
			count = 4
		}
		for range count {
			p, err := w.makePlace(len(w.places), towns[len(w.places)%len(towns)], w.orgs[i])
			if err != nil {
				return err
			}
			w.places = append(w.places, p)
			w.orgs[i].places = append(w.orgs[i].places, p)
		}
		w.addOrganization(w.orgs[i], i)
	}
	return nil
}

func (w *world) makePlace(n int, c city, org orgSite) (*place, error) {
	zone, err := time.LoadLocation(c.zone)
	if err != nil {
		return nil, fmt.Errorf("ehrsim: zone of %s: %w", c.name, err)
	}
	c.lat += (w.dice.Float64() - 0.5) * 0.06
	c.long += (w.dice.Float64() - 0.5) * 0.06
	p := &place{id: "loc-" + strconv.Itoa(201+n), name: c.name + " " + pick(w.dice, sites), org: org.id, city: c, zone: zone}
	w.addLocation(p)
	return p, nil
}

func (w *world) makePractitioner(i int) {
	org := w.orgs[i%len(w.orgs)]
	spec := specialties[(i+int(w.opts.Seed%uint64(len(specialties))))%len(specialties)]
	p := &person{id: "prac-" + strconv.Itoa(301+i), spec: spec, org: org}
	w.name(p)
	p.npi = npi(int(w.opts.Seed%9973)*10_007 + 20_000_000 + i*7919)
	w.addPractitioner(p)
	w.addService(org, spec)
	first := org.places[(i/len(w.orgs))%len(org.places)]
	week := drawWeek(w.dice, spec.minutes)
	if len(org.places) == 1 || w.dice.IntN(3) > 0 {
		w.addRoster(p, first, week)
		return
	}
	second := org.places[(slices.Index(org.places, first)+1)%len(org.places)]
	here, there := week.split()
	w.addRoster(p, first, here)
	w.addRoster(p, second, there)
}
