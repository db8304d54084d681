package upstream

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"slotgate/scheduling"
)

// known is what a client has learnt of its source's directory. The directory in
// it is replaced, never changed, so that a fetch may go on with the one it has.
type known struct {
	mu     sync.Mutex
	dir    scheduling.Directory
	serial uint64               // counts the directories that differ
	used   map[string]bool      // schedules that slots were found on since the last whole reading
	absent map[string]time.Time // "Kind/id" of what the source does not have, until when that is believed
}

func newKnown() *known {
	return &known{dir: scheduling.NewDirectory(), used: map[string]bool{}, absent: map[string]time.Time{}}
}

func (k *known) directory() scheduling.Directory {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dir
}

// version is another one whenever the directory is another one.
func (k *known) version() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.serial
}

// learn adds what an answer brought along, and tells the version of what there is
// then.
func (k *known) learn(found scheduling.Directory) (scheduling.Directory, uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found.Len() > 0 && !holds(k.dir, found) {
		next := cloneDirectory(k.dir)
		next.Merge(found)
		k.dir = next
		k.serial++
	}
	return k.dir, k.serial
}

// holds tells whether all records are there already, as they are.
func holds(dir, found scheduling.Directory) bool {
	return alike(dir.Practitioners, found.Practitioners) && alike(dir.Roles, found.Roles) &&
		alike(dir.Locations, found.Locations) && alike(dir.Organizations, found.Organizations) &&
		alike(dir.Services, found.Services) && alike(dir.Schedules, found.Schedules)
}

func alike[T any](known, found map[string]*T) bool {
	for id, record := range found {
		if !reflect.DeepEqual(known[id], record) {
			return false
		}
	}
	return true
}

// replace takes a directory that was read whole. Kinds that the source does not
// list keep what was learnt one by one; of the others, what slots were found on
// is kept even when the list does not hold it.
func (k *known) replace(listed scheduling.Directory, unlisted []scheduling.Kind) scheduling.Directory {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := usedOnly(k.dir, k.used)
	for _, kind := range unlisted {
		copyKind(next, k.dir, kind)
	}
	next.Merge(listed)
	k.dir, k.used = next, map[string]bool{}
	k.serial++
	return next
}

func (k *known) use(schedules map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.Copy(k.used, schedules)
}

const (
	absentFor = time.Hour
	maxAbsent = 20_000
)

// miss remembers that the source does not have a record.
func (k *known) miss(kind scheduling.Kind, id string, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.absent) >= maxAbsent {
		clear(k.absent)
	}
	k.absent[string(kind)+"/"+id] = now.Add(absentFor)
}

func (k *known) isAbsent(kind scheduling.Kind, id string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return now.Before(k.absent[string(kind)+"/"+id])
}

func cloneDirectory(d scheduling.Directory) scheduling.Directory {
	return scheduling.Directory{
		Practitioners: maps.Clone(d.Practitioners),
		Roles:         maps.Clone(d.Roles),
		Locations:     maps.Clone(d.Locations),
		Organizations: maps.Clone(d.Organizations),
		Services:      maps.Clone(d.Services),
		Schedules:     maps.Clone(d.Schedules),
	}
}

// usedOnly is the part of a directory that these schedules refer to.
func usedOnly(d scheduling.Directory, used map[string]bool) scheduling.Directory {
	out := scheduling.NewDirectory()
	for id := range used {
		schedule := d.Schedules[id]
		if schedule == nil {
			continue
		}
		out.Schedules[id] = schedule
		for _, actor := range schedule.Actors {
			copyActor(out, d, actor.Kind, actor.ID)
		}
	}
	return out
}

// copyActor copies a record and what it refers to.
func copyActor(to, from scheduling.Directory, kind scheduling.Kind, id string) {
	if id == "" || !hasRecord(from, kind, id) || hasRecord(to, kind, id) {
		return
	}
	copyRecord(to, from, kind, id)
	for _, ref := range refsOf(from, kind, id) {
		copyActor(to, from, ref.Kind, ref.ID)
	}
}

// refsOf are the records that a record refers to.
func refsOf(d scheduling.Directory, kind scheduling.Kind, id string) []scheduling.Actor {
	var out []scheduling.Actor
	add := func(kind scheduling.Kind, ids ...string) {
		for _, id := range ids {
			if id != "" {
				out = append(out, scheduling.Actor{Kind: kind, ID: id})
			}
		}
	}
	switch kind {
	case scheduling.KindSchedule:
		out = slices.Clone(d.Schedules[id].Actors)
	case scheduling.KindRole:
		r := d.Roles[id]
		add(scheduling.KindPractitioner, r.Practitioner)
		add(scheduling.KindOrganization, r.Organization)
		add(scheduling.KindLocation, r.Locations...)
		add(scheduling.KindService, r.Services...)
	case scheduling.KindLocation:
		add(scheduling.KindOrganization, d.Locations[id].Organization)
	case scheduling.KindService:
		add(scheduling.KindOrganization, d.Services[id].Organization)
		add(scheduling.KindLocation, d.Services[id].Locations...)
	}
	return out
}

func hasRecord(d scheduling.Directory, kind scheduling.Kind, id string) bool {
	var ok bool
	switch kind {
	case scheduling.KindPractitioner:
		_, ok = d.Practitioners[id]
	case scheduling.KindRole:
		_, ok = d.Roles[id]
	case scheduling.KindLocation:
		_, ok = d.Locations[id]
	case scheduling.KindOrganization:
		_, ok = d.Organizations[id]
	case scheduling.KindService:
		_, ok = d.Services[id]
	case scheduling.KindSchedule:
		_, ok = d.Schedules[id]
	}
	return ok
}

func copyRecord(to, from scheduling.Directory, kind scheduling.Kind, id string) {
	switch kind {
	case scheduling.KindPractitioner:
		to.Practitioners[id] = from.Practitioners[id]
	case scheduling.KindRole:
		to.Roles[id] = from.Roles[id]
	case scheduling.KindLocation:
		to.Locations[id] = from.Locations[id]
	case scheduling.KindOrganization:
		to.Organizations[id] = from.Organizations[id]
	case scheduling.KindService:
		to.Services[id] = from.Services[id]
	case scheduling.KindSchedule:
		to.Schedules[id] = from.Schedules[id]
	}
}

func copyKind(to, from scheduling.Directory, kind scheduling.Kind) {
	switch kind {
	case scheduling.KindPractitioner:
		maps.Copy(to.Practitioners, from.Practitioners)
	case scheduling.KindRole:
		maps.Copy(to.Roles, from.Roles)
	case scheduling.KindLocation:
		maps.Copy(to.Locations, from.Locations)
	case scheduling.KindOrganization:
		maps.Copy(to.Organizations, from.Organizations)
	case scheduling.KindService:
		maps.Copy(to.Services, from.Services)
	case scheduling.KindSchedule:
		maps.Copy(to.Schedules, from.Schedules)
	}
}
