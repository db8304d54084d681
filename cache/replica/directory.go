package replica

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"slotgate/scheduling"
)

// directory is one version of a source's directory with what makes its records
// found. It is immutable. Records are known by number: their place in the order
// of our ids, within their kind.
type directory struct {
	scheduling.Directory
	resolver *scheduling.Resolver
	zones    []*time.Location // the source's and its places', each once
	kinds    map[scheduling.Kind]*records
	texts    [][]string // by number of a location: what location-string looks into
}

// records are those of one kind, in order of our id.
type records struct {
	ids          []string // ours
	natives      []string // the source's, by number
	byNative     map[string]int32
	byIdentifier map[string][]int32 // by value
	identifiers  [][]scheduling.Identifier
}

// directoryKinds are the kinds that a directory holds records of.
func directoryKinds() []scheduling.Kind {
	return []scheduling.Kind{
		scheduling.KindSchedule, scheduling.KindPractitioner, scheduling.KindRole,
		scheduling.KindLocation, scheduling.KindOrganization, scheduling.KindService,
	}
}

func newDirectory(source scheduling.Source, from scheduling.Directory) *directory {
	// Whoever brought it may go on adding to its maps; records never change.
	dir := scheduling.NewDirectory()
	dir.Merge(from)
	d := &directory{
		Directory: dir,
		resolver:  scheduling.NewResolver(source.ID, dir, source.Zone),
		zones:     sortedZones(dir.Zones(source.Zone)),
		kinds:     make(map[scheduling.Kind]*records, 6),
	}
	id := source.ID
	d.kinds[scheduling.KindSchedule] = index(id, scheduling.KindSchedule, dir.Schedules,
		func(r *scheduling.Schedule) []scheduling.Identifier { return r.Identifiers })
	d.kinds[scheduling.KindPractitioner] = index(id, scheduling.KindPractitioner, dir.Practitioners,
		func(r *scheduling.Practitioner) []scheduling.Identifier { return r.Identifiers })
	d.kinds[scheduling.KindRole] = index(id, scheduling.KindRole, dir.Roles,
		func(r *scheduling.Role) []scheduling.Identifier { return r.Identifiers })
	d.kinds[scheduling.KindLocation] = index(id, scheduling.KindLocation, dir.Locations,
		func(r *scheduling.Location) []scheduling.Identifier { return r.Identifiers })
	d.kinds[scheduling.KindOrganization] = index(id, scheduling.KindOrganization, dir.Organizations,
		func(r *scheduling.Organization) []scheduling.Identifier { return r.Identifiers })
	d.kinds[scheduling.KindService] = index(id, scheduling.KindService, dir.Services,
		func(r *scheduling.Service) []scheduling.Identifier { return r.Identifiers })
	d.texts = d.locationTexts()
	return d
}

// sortedZones puts zones in order of name: the directory gives them in any.
func sortedZones(zones []*time.Location) []*time.Location {
	slices.SortFunc(zones, func(a, b *time.Location) int { return cmp.Compare(a.String(), b.String()) })
	return zones
}

func index[T any](source scheduling.SourceID, kind scheduling.Kind, from map[string]*T,
	identifiers func(*T) []scheduling.Identifier,
) *records {
	type row struct{ ours, native string }
	rows := make([]row, 0, len(from))
	for native := range from {
		rows = append(rows, row{scheduling.ResourceID(source, kind, native), native})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.ours, b.ours) })
	r := &records{
		ids:          make([]string, len(rows)),
		natives:      make([]string, len(rows)),
		byNative:     make(map[string]int32, len(rows)),
		byIdentifier: map[string][]int32{},
		identifiers:  make([][]scheduling.Identifier, len(rows)),
	}
	for i, row := range rows {
		n := int32(i)
		r.ids[i], r.natives[i] = row.ours, row.native
		r.byNative[row.native] = n
		r.identifiers[i] = identifiers(from[row.native])
		for _, identifier := range r.identifiers[i] {
			if had := r.byIdentifier[identifier.Value]; len(had) == 0 || had[len(had)-1] != n {
				r.byIdentifier[identifier.Value] = append(had, n)
			}
		}
	}
	return r
}

// number is that of the record with our id.
func (r *records) number(ours string) (int32, bool) {
	at, found := slices.BinarySearch(r.ids, ours)
	return int32(at), found
}

// native is the number of the source's own id, -1 where there is none.
func (r *records) native(id string) int32 {
	if n, ok := r.byNative[id]; ok {
		return n
	}
	return -1
}

func (d *directory) locationTexts() [][]string {
	known := d.kinds[scheduling.KindLocation]
	texts := make([][]string, len(known.natives))
	for i, native := range known.natives {
		place := d.Locations[native]
		texts[i] = append(place.Address.Parts(), place.Name)
		for j, text := range texts[i] {
			texts[i][j] = strings.ToLower(text) // once, not at each query
		}
	}
	return texts
}

// matches adds to out the numbers of the records of one kind that the ref asks
// for. The source's own ids count where native is set.
func (d *directory) matches(ref scheduling.Ref, kind scheduling.Kind, base string, native bool, out []int32) []int32 {
	known := d.kinds[kind]
	if known == nil || ref.Kind != "" && ref.Kind != kind {
		return out
	}
	// The id of an address is that server's own: it says nothing anywhere else.
	if ref.ID != "" && ref.URL == "" {
		if n, ok := known.number(ref.ID); ok {
			out = append(out, n)
		}
		if n := known.native(ref.ID); native && n >= 0 {
			out = append(out, n)
		}
	}
	if id, ok := idInURL(ref.URL, base, kind); ok {
		if n := known.native(id); n >= 0 {
			out = append(out, n)
		}
	}
	if ref.Identifier.Value != "" {
		out = known.identified(ref.Identifier, out)
	}
	return out
}

// identified adds the records with the identifier; one without a system asks
// for any.
func (r *records) identified(want scheduling.Identifier, out []int32) []int32 {
	for _, n := range r.byIdentifier[want.Value] {
		for _, have := range r.identifiers[n] {
			if have.Value == want.Value && (want.System == "" || want.System == have.System) {
				out = append(out, n)
				break
			}
		}
	}
	return out
}

// idInURL is the id in an absolute URL of the source: base/Kind/id, perhaps
// with a version behind it.
func idInURL(url, base string, kind scheduling.Kind) (string, bool) {
	if url == "" || base == "" {
		return "", false
	}
	rest, ok := strings.CutPrefix(url, strings.TrimRight(base, "/")+"/"+string(kind)+"/")
	if !ok {
		return "", false
	}
	id, _, _ := strings.Cut(rest, "/_history/")
	return id, id != ""
}

// ancestors adds the organization and all it is part of. Circles end.
func (d *directory) ancestors(org string, out []int32) []int32 {
	known := d.kinds[scheduling.KindOrganization]
	for org != "" {
		n := known.native(org)
		if n < 0 || slices.Contains(out, n) {
			return out
		}
		out = append(out, n)
		org = d.Organizations[org].PartOf
	}
	return out
}
