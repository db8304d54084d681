package check

import (
	"crypto/rand"
	"slices"

	"slotgate/fhir/model"
	"slotgate/scheduling"
	"slotgate/upstream"
)

// register tells how a new person gets a Patient there, and what speaks against
// it. Nobody is registered to find that out, and no person is asked for: what is
// searched is an identifier that nobody has.
func (r *run) register() bool {
	r.client.Learn(r.ctx)
	way := r.client.Registering().Way
	if way == scheduling.RegisterNone {
		r.add("register", false, Works, "by configuration nobody is registered there")
		return true
	}
	patient := r.resource("Patient")
	switch why := r.againstRegister(way, patient); {
	case why != "":
		r.add("register", false, DoesNot, "%s: %s", way, why)
	case r.told == nil || len(r.told.Rest) == 0:
		r.add("register", false, WithQuirk, "%s: the source does not tell whether it can", way)
	case way == scheduling.RegisterIfNoneExist && !upstream.ConditionalCreate(patient):
		r.add("register", false, WithQuirk, "%s: the source does not say that it knows If-None-Exist; register: search-then-post does without", way)
	case way == scheduling.RegisterMatch && !r.operation("match"):
		r.add("register", false, WithQuirk, "%s: the source does not tell of Patient/$match", way)
	default:
		r.searchable("register", string(way), func() error {
			_, err := r.client.FindPatients(r.ctx, scheduling.PatientQuery{Identifiers: []scheduling.PersonIdentifier{
				{System: scheduling.PatientIdentifierSystem, Value: "check-" + rand.Text()},
			}})
			return err
		})
	}
	return true
}

// againstRegister is what the source's own word has against a way; "": nothing.
func (r *run) againstRegister(way scheduling.RegisterWay, patient *model.CapabilityResource) string {
	switch {
	case !r.listsTypes():
		return ""
	case patient == nil || !allows(patient, "create"):
		return "the source does not let Patients be created; set register: none"
	case way == scheduling.RegisterSearch && !allows(patient, "search-type"):
		return "the source does not search Patients"
	default:
		return ""
	}
}

// coverage tells when insurance is sent, and what speaks against it. None is
// sent to find that out.
func (r *run) coverage() bool {
	how := r.client.Covering()
	coverage := r.resource("Coverage")
	switch {
	case how.Way == scheduling.CoverNone && r.client.Options().Coverage == string(scheduling.CoverNone), r.source.Readonly:
		r.add("coverage", false, Works, "by configuration none is sent")
	case how.Way == scheduling.CoverNone:
		r.add("coverage", false, WithQuirk, "the source does not say that it takes any: none is sent")
	case r.listsTypes() && (coverage == nil || !allows(coverage, "create")):
		r.add("coverage", false, DoesNot, "%s: the source does not let Coverage be created; set coverage: none", how.Way)
	case coverage == nil:
		r.add("coverage", false, WithQuirk, "%s: the source does not tell whether it takes any", how.Way)
	case !allows(coverage, "update"):
		r.add("coverage", false, WithQuirk, "%s: it cannot be changed once it was sent", how.Way)
	default:
		r.searchable("coverage", string(how.Way), func() error {
			_, _, err := r.client.FindCoverage(r.ctx, "check-"+rand.Text())
			return err
		})
	}
	return true
}

// searchable adds the row of something whose lost answers are looked for.
func (r *run) searchable(name, what string, find func() error) {
	switch err := find(); scheduling.CodeOf(err) {
	case "":
		r.add(name, false, Works, "%s", what)
	case scheduling.NotSupported:
		r.add(name, false, WithQuirk, "%s; it cannot be searched by POST: what becomes of a lost answer is not found out", what)
	default:
		r.add(name, false, WithQuirk, "%s; the search that would settle a lost answer fails: %s", what, Explain(err))
	}
}

// listsTypes: the CapabilityStatement tells of types at all.
func (r *run) listsTypes() bool {
	return r.told != nil && slices.ContainsFunc(r.told.Rest, func(rest model.CapabilityRest) bool { return len(rest.Resource) > 0 })
}

func (r *run) resource(name string) *model.CapabilityResource {
	if r.told == nil {
		return nil
	}
	for i := range r.told.Rest {
		for j := range r.told.Rest[i].Resource {
			if one := &r.told.Rest[i].Resource[j]; one.Type == name {
				return one
			}
		}
	}
	return nil
}

// allows: a type's interactions hold this one, or are not told.
func allows(r *model.CapabilityResource, interaction string) bool {
	return len(r.Interaction) == 0 || slices.ContainsFunc(r.Interaction, func(one model.CapabilityInteraction) bool { return one.Code == interaction })
}

// operation looks where both releases tell of operations.
func (r *run) operation(name string) bool {
	named := func(one model.CapabilityOperation) bool { return one.Name == name }
	return slices.ContainsFunc(r.told.Rest, func(rest model.CapabilityRest) bool {
		return slices.ContainsFunc(rest.Operation, named) ||
			slices.ContainsFunc(rest.Resource, func(one model.CapabilityResource) bool { return slices.ContainsFunc(one.Operation, named) })
	})
}
