package fhir

import (
	"slices"
	"strings"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// appointment reads the resource that was sent: its id, slots, times, comment,
// and the patients among its participants.
func (r *bookReader) appointment() error {
	a := r.resource
	if len(a.Slot) > r.opts.MaxValues || len(a.Participant) > r.opts.MaxValues {
		return tooMany()
	}
	r.out.ByResource = r.out.ID == ""
	if err := r.resourceSlots(a); err != nil {
		return err
	}
	if err := r.resourceID(a); err != nil {
		return err
	}
	var err error
	if r.out.Start, err = instantOf("start", a.Start); err != nil {
		return err
	}
	if r.out.End, err = instantOf("end", a.End); err != nil {
		return err
	}
	if !r.given["comment"] {
		if err := r.setComment(a.Comment); err != nil {
			return err
		}
	}
	for i := range a.Participant {
		if err := r.participant(a.Participant[i].Actor); err != nil {
			return err
		}
	}
	return nil
}

// resourceID takes the id of the resource. A client that makes Appointments of
// its own from Slots may have given it one of its own, which means nothing here.
func (r *bookReader) resourceID(a *model.Appointment) error {
	id := a.ID
	standing := r.ihe && (a.Status == "booked" || a.Status == "cancelled") // it names what stands
	draft := !standing && !looksOurs(id) && len(r.out.Slots) > 0 && r.out.ID == ""
	if id == "" || draft {
		return nil
	}
	if !scheduling.ValidID(id) {
		return bad("id", "the Appointment's id is not an id")
	}
	return r.sameID(id, "id")
}

// looksOurs tells whether an id has the form of those that we give.
func looksOurs(id string) bool {
	ours := scheduling.OfferID("", 0, "")
	return len(id) == len(ours) && strings.IndexByte(id, '-') == strings.IndexByte(ours, '-')
}

func instantOf(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := scheduling.ParseInstant(text, nil)
	if err != nil {
		return time.Time{}, bad(name, "is not a time with an offset")
	}
	return at, nil
}

func (r *bookReader) resourceSlots(a *model.Appointment) error {
	for i := range a.Slot {
		source, id := r.record(a.Slot[i].Reference, scheduling.KindSlot)
		switch {
		case id == "":
			return scheduling.Refuse(scheduling.NotAcceptable, "slot", "a slot must be named by a reference to a Slot that is known here")
		case source != "":
			id = scheduling.ResourceID(source, scheduling.KindSlot, id)
		case r.native(id):
			id = scheduling.ResourceID(r.opts.Source, scheduling.KindSlot, id)
		}
		if !slices.Contains(r.out.Slots, id) {
			r.out.Slots = append(r.out.Slots, id)
		}
	}
	return nil
}

// kindPatient is no kind of the directory: nobody is found by it.
const kindPatient scheduling.Kind = "Patient"

// participant takes the patients among those who take part.
func (r *bookReader) participant(actor *model.Reference) error {
	if actor == nil {
		return nil
	}
	kind, _ := RefParts(localTo(r.opts.Bases, actor.Reference))
	switch {
	case kind == kindPatient:
		return r.patient(actor.Reference, "participant")
	case strings.HasPrefix(actor.Reference, "#"):
		r.unnamed = r.unnamed || r.contains(actor.Reference[1:], kindPatient)
	case actor.Type == string(kindPatient):
		r.unnamed = true
	}
	return nil
}

func (r *bookReader) contains(id string, kind scheduling.Kind) bool {
	for _, res := range r.resource.Contained {
		if res != nil && res.ResourceType() == string(kind) && strings.TrimPrefix(res.Common().ID, "#") == id {
			return true
		}
	}
	return false
}

// patient takes one patient, named by id or reference.
func (r *bookReader) patient(text, param string) error {
	source, id := scheduling.SourceID(""), text
	if !scheduling.ValidID(text) {
		source, id = r.record(text, kindPatient)
	}
	switch {
	case id == "" && strings.Contains(text, "://"):
		return scheduling.Refuse(scheduling.NotAcceptable, param, "%s: this is a patient of another server", param)
	case id == "":
		return bad(param, "is not the id of a Patient")
	case source == "" && !scheduling.OwnPatientID(id):
		source = r.opts.Source
	}
	if !slices.Contains(r.out.Patients, id) {
		r.out.Patients = append(r.out.Patients, id)
	}
	r.patientSources = append(r.patientSources, source)
	return nil
}

// record reads a reference to a record of ours (source "") or, by its absolute
// address, to one of a source. id is "" for anything else.
func (r *bookReader) record(reference string, want scheduling.Kind) (source scheduling.SourceID, id string) {
	local := localTo(r.opts.Bases, reference)
	if strings.Contains(local, "://") {
		for _, src := range r.opts.Sources {
			if rest, ok := strings.CutPrefix(local, strings.TrimSuffix(src.Base, "/")+"/"); ok && src.Base != "" {
				local, source = rest, src.ID
				break
			}
		}
	}
	kind, id := RefParts(local)
	plain, _, _ := strings.Cut(local, "/_history/")
	if kind != want || strings.Count(plain, "/") != 1 {
		return "", ""
	}
	return source, id
}
