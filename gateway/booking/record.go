package booking

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"slotgate/scheduling"
)

// recordOf keeps what must be known of an offer when the replica has it no
// longer.
func (d *Desk) recordOf(o scheduling.Offer) scheduling.OfferRecord {
	r := scheduling.OfferRecord{
		Slots: slices.Clone(o.Slots), Schedule: o.Slots[0].Schedule,
		ServiceCategory: o.ServiceCategory(), ServiceType: o.ServiceType(), Specialty: o.Specialty(),
		AppointmentType: o.Slots[0].AppointmentType, Rule: o.Rule,
	}
	if _, can, err := d.ehr(o.Setting.Source); err == nil {
		r.Alone = can.Overlap.Hides(o.Setting)
	}
	s := o.Setting
	if s.Zone != nil {
		r.Zone = s.Zone.String()
	}
	for _, p := range s.Practitioners {
		r.Actors = append(r.Actors, scheduling.Actor{Kind: scheduling.KindPractitioner, ID: p.ID, Display: p.Name.Display()})
	}
	for _, l := range s.Locations {
		r.Actors = append(r.Actors, scheduling.Actor{Kind: scheduling.KindLocation, ID: l.ID, Display: l.Name})
	}
	if s.Role != nil {
		r.Actors = append(r.Actors, scheduling.Actor{Kind: scheduling.KindRole, ID: s.Role.ID})
	}
	if s.Service != nil {
		r.Actors = append(r.Actors, scheduling.Actor{Kind: scheduling.KindService, ID: s.Service.ID, Display: s.Service.Name})
	}
	if s.Organization != nil {
		r.Actors = append(r.Actors, scheduling.Actor{Kind: scheduling.KindOrganization, ID: s.Organization.ID, Display: s.Organization.Name})
	}
	r.Actors = append(r.Actors, s.Unlinked...)
	return r
}

// Our identifier on an appointment is
//
//	offer . principal . digest of the key . HMAC(secret; principal, key, offer)
//
// so that lost books can be rebuilt from what the EHR shows, and nobody can
// forge one. All parts are digests: it tells nothing of a person.

func (d *Desk) identifier(offer, principal, key string) string {
	return strings.Join([]string{offer, principal, key, d.mac(offer, principal, key)}, ".")
}

func (d *Desk) mac(parts ...string) string {
	h := hmac.New(sha256.New, d.Secret)
	h.Write([]byte(strings.Join(parts, ".")))
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// readIdentifier takes an identifier of ours apart.
func (d *Desk) readIdentifier(value string) (offer, principal string, ok bool) {
	parts := strings.Split(value, ".")
	if len(parts) != 4 {
		return "", "", false
	}
	want := d.mac(parts[0], parts[1], parts[2])
	return parts[0], parts[1], hmac.Equal([]byte(want), []byte(parts[3]))
}

// keyDigest stands for an Idempotency-Key wherever it is kept.
func keyDigest(key string) string {
	if key == "" {
		return "0"
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:6])
}

// samePatients tells whether both name the same people: by our id, or by the
// source's. Two whom the source does not know yet are not the same for that.
func samePatients(a, b []scheduling.PatientRef) bool {
	lacks := func(refs []scheduling.PatientRef) func(scheduling.PatientRef) bool {
		return func(p scheduling.PatientRef) bool {
			return !slices.ContainsFunc(refs, func(r scheduling.PatientRef) bool {
				return r.Asked == p.Asked || r.Native != "" && r.Native == p.Native
			})
		}
	}
	return !slices.ContainsFunc(a, lacks(b)) && !slices.ContainsFunc(b, lacks(a))
}

// recognized tells whether those who are named now are those of a booking that was
// written down again after a loss, which knows them by the source's ids alone.
func (d *Desk) recognized(ctx context.Context, c Caller, e scheduling.Entry, named []scheduling.PatientRef) (bool, error) {
	people, ok := d.Patients.(Recognizers)
	if !ok || e.Reason != scheduling.Restored || e.State != scheduling.EntryBooked || len(named) != len(e.Private.Patients) {
		return false, nil
	}
	left := slices.Clone(named)
	for _, native := range e.Private.Natives() {
		at := -1
		for i, p := range left {
			is := p.Native == native
			if p.Native == "" && scheduling.OwnPatientID(p.Asked) {
				var err error
				if is, err = people.IsPatient(ctx, c.Principal, e.Source, p.Asked, native); err != nil {
					return false, err
				}
			}
			if is {
				at = i
				break
			}
		}
		if at < 0 {
			return false, nil
		}
		left = slices.Delete(left, at, at+1)
	}
	return len(left) == 0, nil
}

// restoredOf tells whether a booking that was written down again after a loss was
// made by a request under this key: our identifier at the EHR says so. Whom it
// names, the gateway may know under another id by now, or not at all.
func (d *Desk) restoredOf(e scheduling.Entry, c Caller, key string) bool {
	return key != "" && e.State == scheduling.EntryBooked && e.Reason == scheduling.Restored &&
		e.Identifier == d.identifier(e.ID, c.Principal, keyDigest(key))
}
