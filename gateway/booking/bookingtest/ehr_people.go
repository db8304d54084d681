package bookingtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"slotgate/scheduling"
)

// The lasting faults about people.
const (
	HidesPeople   Fault = "state: a search for patients shows nobody"
	BlindToPeople Fault = "state: patients cannot be searched"
)

// folk is what the EHR knows of people.
type folk struct {
	patients  map[string]scheduling.NativePatient
	coverages map[string]Insured
	register  scheduling.RegisterWay
	covering  scheduling.Covering
}

// Insured is a coverage at the EHR.
type Insured struct {
	ID         string
	Identifier string
	Patients   []string // whom it names
	Text       string   // the resource as it was sent
}

func newFolk() folk {
	return folk{
		patients: map[string]scheduling.NativePatient{}, coverages: map[string]Insured{}, register: scheduling.RegisterSearch,
		covering: scheduling.Covering{
			Way: scheduling.CoverAfter, CallTimeout: 10 * time.Second, ReadTimeout: 5 * time.Second, Settle: 2 * time.Minute,
		},
	}
}

// SetFolk changes how people are registered and coverage is taken.
func (h *EHR) SetFolk(register scheduling.RegisterWay, way scheduling.CoverWay, conditional bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.folk.register, h.folk.covering.Way, h.folk.covering.Conditional = register, way, conditional
}

// Patients are the ids of those who were made, in order.
func (h *EHR) Patients() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tick()
	var ids []string
	for id := range h.folk.patients {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Twin has everybody there twice: what racing does.
func (h *EHR) Twin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tick()
	for _, p := range slices.Collect(maps.Values(h.folk.patients)) {
		h.serial++
		p.ID = fmt.Sprintf("p%d", h.serial)
		h.folk.patients[p.ID] = p
	}
}

// Coverages are those that it has, in order of id.
func (h *EHR) Coverages() []Insured {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tick()
	var list []Insured
	for _, c := range h.folk.coverages {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Insured) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// Registering is how people are registered.
func (h *EHR) Registering() scheduling.Registering {
	h.mu.Lock()
	defer h.mu.Unlock()
	return scheduling.Registering{Way: h.folk.register, CallTimeout: h.can.CallTimeout, ReadTimeout: h.can.ReadTimeout, Settle: h.can.Settle, Lag: h.can.Lag}
}

// write runs a write with the next fault of the kind. do makes it so, and gives
// the id.
func (h *EHR) write(ctx context.Context, kind scheduling.CallKind, do func() string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return "", h.blame(scheduling.SourceDown)
	}
	f := h.take(kind)
	if f == RefuseTaken {
		return "", h.blame(scheduling.NeedsClinic)
	}
	if err := h.refusal(f); err != nil {
		return "", err
	}
	switch f {
	case LateCommit:
		h.later(func() { do() })
		return "", h.blame(scheduling.InDoubt)
	case LostAfter:
		do()
		return "", h.blame(scheduling.InDoubt)
	case Empty:
		do()
		return "", nil
	}
	return do(), nil
}

// CreatePatient makes a Patient; one that is conditional gives who is known.
func (h *EHR) CreatePatient(ctx context.Context, call scheduling.RegisterCall) (scheduling.NativePatient, error) {
	made := true
	id, err := h.write(ctx, scheduling.CallRegister, func() string {
		if call.Conditional {
			if known := h.whoHas(call.Identifiers()); len(known) > 0 {
				made = false
				return known[0].ID
			}
		}
		h.serial++
		id := fmt.Sprintf("p%d", h.serial)
		h.folk.patients[id] = scheduling.NativePatient{ID: id, Identifiers: call.Identifiers(), Names: call.Person.Names, BirthDate: call.Person.BirthDate, Gender: call.Person.Gender}
		return id
	})
	if err == nil && id == "" {
		err = h.blame(scheduling.InDoubt)
	}
	if err != nil {
		return scheduling.NativePatient{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.folk.patients[id]
	p.Made = made
	return p, nil
}

func (h *EHR) whoHas(ids []scheduling.PersonIdentifier) (list []scheduling.NativePatient) {
	for _, p := range h.folk.patients {
		if slices.ContainsFunc(p.Identifiers, func(id scheduling.PersonIdentifier) bool { return slices.Contains(ids, id) }) {
			list = append(list, p)
		}
	}
	return list
}

// FindPatients finds people by identifier, or by family name and birth date.
func (h *EHR) FindPatients(ctx context.Context, q scheduling.PatientQuery) ([]scheduling.NativePatient, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.mayRead(ctx); err != nil {
		return nil, err
	}
	switch {
	case h.state[BlindToPeople]:
		return nil, h.blame(scheduling.NotSupported)
	case h.state[HidesPeople]:
		return nil, nil
	case len(q.Identifiers) > 0:
		return h.whoHas(q.Identifiers), nil
	}
	var list []scheduling.NativePatient
	for _, p := range h.folk.patients {
		if q.MayBe(p) {
			list = append(list, p)
		}
	}
	return list, nil
}

// MatchPatients is certain of those who share an identifier.
func (h *EHR) MatchPatients(ctx context.Context, person scheduling.Registration) ([]scheduling.NativePatient, error) {
	return h.FindPatients(ctx, scheduling.PatientQuery{Identifiers: person.Naming()})
}

// ReadPatient reads one Patient.
func (h *EHR) ReadPatient(ctx context.Context, id string) (scheduling.NativePatient, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.mayRead(ctx); err != nil {
		return scheduling.NativePatient{}, err
	}
	switch p, ok := h.folk.patients[id]; {
	case h.state[BlindToPeople]:
		return scheduling.NativePatient{}, h.blame(scheduling.NotSupported)
	case !ok || h.state[HidesPeople]:
		return scheduling.NativePatient{}, h.blame(scheduling.UnknownID)
	default:
		return p, nil
	}
}

// Covering is how coverage is taken.
func (h *EHR) Covering() scheduling.Covering {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.folk.covering
}

// PutCoverage takes a coverage, or a new version of it.
func (h *EHR) PutCoverage(ctx context.Context, call scheduling.CoverageCall) (scheduling.NativeCoverage, error) {
	made := call.Native == ""
	id, err := h.write(ctx, scheduling.CallCover, func() string {
		id := call.Native
		if call.Conditional && id == "" {
			for _, known := range h.folk.coverages {
				if known.Identifier == call.Identifier {
					made = false
					return known.ID
				}
			}
		}
		if id == "" {
			h.serial++
			id = fmt.Sprintf("c%d", h.serial)
		}
		c := Insured{ID: id, Identifier: call.Identifier, Text: string(call.Coverage.Resource)}
		for _, native := range call.Natives {
			c.Patients = append(c.Patients, native)
		}
		h.folk.coverages[id] = c
		return id
	})
	return scheduling.NativeCoverage{ID: id, Made: made && err == nil}, err
}

// FindCoverage finds one by our identifier.
func (h *EHR) FindCoverage(ctx context.Context, identifier string) (scheduling.NativeCoverage, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.can.Search {
		return scheduling.NativeCoverage{}, false, h.blame(scheduling.NotSupported)
	}
	if err := h.mayRead(ctx); err != nil {
		return scheduling.NativeCoverage{}, false, err
	}
	for _, c := range h.folk.coverages {
		if c.Identifier == identifier {
			return scheduling.NativeCoverage{ID: c.ID}, true, nil
		}
	}
	return scheduling.NativeCoverage{}, false, nil
}
