package upstream

import (
	"slices"
	"strings"
	"time"

	"slotgate/scheduling"
)

// byActors finds schedules by who and where they bind, for sources that
// propose appointments without naming a schedule.
type byActors struct {
	source scheduling.SourceID
	real   map[string]string // "" where several schedules fit
}

func newByActors(source scheduling.Source, dir scheduling.Directory) *byActors {
	b := &byActors{source: source.ID, real: map[string]string{}}
	resolver := scheduling.NewResolver(source.ID, dir, source.Zone)
	for id, schedule := range dir.Schedules {
		if schedule.Virtual {
			continue
		}
		setting, reason := resolver.Setting(id)
		if reason != "" {
			continue
		}
		key := settingKey(setting)
		if _, twice := b.real[key]; twice {
			id = ""
		}
		b.real[key] = id
	}
	return b
}

func settingKey(s *scheduling.Setting) string {
	var parts []string
	for _, p := range s.Practitioners {
		parts = append(parts, "Practitioner/"+p.ID)
	}
	for _, l := range s.Locations {
		parts = append(parts, "Location/"+l.ID)
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// of is the one real schedule of these actors, else a virtual one, which is
// made and added to found.
func (b *byActors) of(actors []scheduling.Actor, found scheduling.Directory) string {
	key, whole := actorKey(actors)
	if id := b.real[key]; id != "" && whole {
		return id
	}
	id := "v." + scheduling.ResourceID(b.source, scheduling.KindSchedule, key)
	if found.Schedules[id] == nil {
		found.Schedules[id] = &scheduling.Schedule{ID: id, Actors: actors, Virtual: true}
	}
	return id
}

// actorKey is the same for the same actors in any order. whole: all of them are
// practitioners and places with an id.
func actorKey(actors []scheduling.Actor) (key string, whole bool) {
	whole = true
	var parts []string
	for _, a := range actors {
		switch {
		case a.ID == "":
			whole = false
			parts = append(parts, "~"+a.Display)
		default:
			whole = whole && (a.Kind == scheduling.KindPractitioner || a.Kind == scheduling.KindLocation)
			parts = append(parts, string(a.Kind)+"/"+a.ID)
		}
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), " "), whole
}

// virtualID is the identity of a slot that has none at its source: who, where,
// when and what for. It does not depend on which schedule we filed it under.
func virtualID(source scheduling.SourceID, actors []scheduling.Actor, slot *scheduling.Slot) string {
	who, _ := actorKey(actors)
	parts := []string{who, slot.Start.UTC().Format(time.RFC3339), slot.End.UTC().Format(time.RFC3339)}
	for _, concept := range slot.ServiceType {
		parts = append(parts, concept.Text)
		for _, coding := range concept.Codings {
			parts = append(parts, coding.System+"|"+coding.Code)
		}
	}
	return scheduling.ResourceID(source, scheduling.KindSlot, strings.Join(parts, "\n"))
}
