package fhir

import (
	"slices"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// TransactionOptions bound a transaction.
type TransactionOptions struct {
	// Bases are our own base URLs.
	Bases []string
	// MaxEntries is how many entries there may be.
	MaxEntries int
}

// Transaction is a registration in one piece: Patients, Coverages, and the
// RelatedPersons by whom these are subscribed. All of it was judged, and nothing
// else is in it.
type Transaction struct {
	release scheduling.Release
	options TransactionOptions
	entries []transactionEntry
	// Persons are the Patients, in their order.
	Persons []scheduling.Registration
	// Named are the Patients of ours that are referred to, and did not come with it.
	Named []string
}

// transactionEntry is one resource and the references that lead to it.
type transactionEntry struct {
	kind  scheduling.Kind
	names []string
	// person is the place among Persons.
	person   int
	coverage *model.Coverage
	related  *model.RelatedPerson
}

// ReadTransaction reads a transaction Bundle of Patient, RelatedPerson and
// Coverage, each to be created. Their order does not matter.
//
// Errors: bad-request where it cannot be read; not-acceptable and missing-data
// for whatever is wrong with any part of it.
func ReadTransaction(rel scheduling.Release, f Format, body []byte, opts TransactionOptions) (*Transaction, error) {
	res, dropped, err := ReadCounting(rel, f, body)
	if err != nil {
		return nil, err
	}
	bundle, ok := res.(*model.Bundle)
	switch {
	case !ok:
		return nil, scheduling.Refuse(scheduling.BadRequest, "", "the body is not a Bundle")
	case dropped > 0:
		return nil, refuseTransaction("the transaction has elements that this version of FHIR does not have")
	case bundle.Type != "transaction":
		return nil, refuseTransaction("only a Bundle of type transaction is taken here")
	case len(bundle.Entry) == 0:
		return nil, refuseTransaction("the transaction is empty")
	case len(bundle.Entry) > opts.MaxEntries:
		return nil, scheduling.Refuse(scheduling.NotAcceptable, "Bundle.entry", "a transaction has at most %d entries", opts.MaxEntries)
	}
	t := &Transaction{release: rel, options: opts}
	for _, e := range bundle.Entry {
		if err := t.take(e); err != nil {
			return nil, err
		}
	}
	return t, t.judge()
}

func refuseTransaction(message string) error {
	return scheduling.Refuse(scheduling.NotAcceptable, "Bundle", "%s", message)
}

// take reads one entry.
func (t *Transaction) take(e model.BundleEntry) error {
	if e.Resource == nil || e.Request == nil {
		return refuseTransaction("an entry of a transaction needs a resource and a request")
	}
	one := transactionEntry{kind: scheduling.Kind(e.Resource.ResourceType()), names: t.names(e)}
	switch r := e.Resource.(type) {
	case *model.Patient:
		person, err := RegistrationOf(t.release, r)
		if err != nil {
			return err
		}
		one.person = len(t.Persons)
		t.Persons = append(t.Persons, person)
	case *model.Coverage:
		one.coverage = r
	case *model.RelatedPerson:
		one.related = r
	default:
		return refuseTransaction("a transaction may have a Patient, a RelatedPerson and a Coverage only")
	}
	t.entries = append(t.entries, one)
	return t.create(e.Request, one.kind)
}

// create wants a plain create of the resource's type.
func (t *Transaction) create(r *model.BundleRequest, kind scheduling.Kind) error {
	switch {
	case r.Method != "POST":
		return refuseTransaction("an entry of a transaction may only be created: POST")
	case r.IfNoneExist != "":
		// As for POST Patient: who is the same is for the server to find out.
		return scheduling.Refuse(scheduling.NotAcceptable, "Bundle.entry.request.ifNoneExist", "create without ifNoneExist: what is known already is answered with 200")
	case r.IfMatch != "", r.IfNoneMatch != "", r.IfModifiedSince != "":
		return refuseTransaction("a create has no condition")
	case strings.Trim(localTo(t.options.Bases, r.URL), "/") != string(kind):
		return refuseTransaction("the address of a create is the type of its resource")
	}
	return nil
}

// names are the references that lead to an entry
// (http://hl7.org/fhir/bundle.html#references).
func (t *Transaction) names(e model.BundleEntry) []string {
	var list []string
	add := func(name string) {
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	if e.FullURL != "" {
		add(e.FullURL)
		if kind, id := RefParts(localTo(t.options.Bases, e.FullURL)); id != "" && string(kind) == e.Resource.ResourceType() {
			add(string(kind) + "/" + id)
		}
	}
	if ref := model.Ref(e.Resource); ref != "" {
		add(ref)
	}
	return list
}

// judge sees to it that everything fits together before anything is kept: with
// ids in the place of those that the Patients will get.
func (t *Transaction) judge() error {
	seen := map[string]bool{}
	for _, e := range t.entries {
		for _, name := range e.names {
			if seen[name] {
				return refuseTransaction("two entries have the same fullUrl, or the same id")
			}
			seen[name] = true
		}
	}
	stand := standIns(len(t.Persons))
	list, err := t.Coverages(stand)
	if err != nil {
		return err
	}
	if err := t.allUsed(); err != nil {
		return err
	}
	t.Named, err = namedBeside(list, stand)
	return err
}

// standIns are ids in the place of those that Patients will get.
func standIns(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = scheduling.NewPatientID([26]byte{25: byte(i), 24: byte(i >> 5), 23: 1})
	}
	return ids
}

// namedBeside are the Patients of ours whom coverages name, but for the stand-ins.
func namedBeside(list []scheduling.Coverage, stand []string) (ids []string, err error) {
	for _, c := range list {
		names, err := PatientsOf(c)
		if err != nil {
			return nil, err
		}
		for _, id := range names {
			if !slices.Contains(stand, id) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// allUsed refuses a RelatedPerson whom no Coverage names: it would be lost.
func (t *Transaction) allUsed() error {
	for _, e := range t.entries {
		if e.related == nil {
			continue
		}
		used := false
		for _, other := range t.entries {
			used = used || other.coverage != nil && namesOne(other.coverage, e.names)
		}
		if !used {
			return refuseTransaction("no Coverage of the transaction names the RelatedPerson")
		}
	}
	return nil
}

func namesOne(c *model.Coverage, names []string) bool {
	refs := []*model.Reference{c.Subscriber, c.PolicyHolder}
	for i := range c.Payor {
		refs = append(refs, &c.Payor[i])
	}
	for _, ref := range refs {
		if ref != nil && slices.Contains(names, ref.Reference) {
			return true
		}
	}
	return false
}

// Coverages are the Coverages in their order, once the Patients have these ids,
// in the order of Persons. A RelatedPerson is part of the Coverage that names it.
func (t *Transaction) Coverages(patients []string) ([]scheduling.Coverage, error) {
	within := CoverageContext{Bases: t.options.Bases, Patients: map[string]string{}, Related: map[string]*model.RelatedPerson{}}
	for _, e := range t.entries {
		for _, name := range e.names {
			switch {
			case e.related != nil:
				within.Related[name] = e.related
			case e.coverage == nil:
				within.Patients[name] = patients[e.person]
			}
		}
	}
	var list []scheduling.Coverage
	for _, e := range t.entries {
		if e.coverage == nil {
			continue
		}
		c, err := CoverageOf(t.release, e.coverage, within)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// Created is what became of a resource of a transaction.
type Created struct {
	Added    bool // 201; else it was known: 200
	Location string
	ETag     string
	Resource model.Resource // nil: not to be told
	// Issues are told beside it.
	Issues []model.OutcomeIssue
}

// Answer writes the transaction-response: persons and coverages in their order.
func (t *Transaction) Answer(persons, coverages []Created) *model.Bundle {
	out := &model.Bundle{Type: "transaction-response"}
	n := 0
	for _, e := range t.entries {
		switch {
		case e.related != nil:
			out.Entry = append(out.Entry, model.BundleEntry{Response: &model.BundleResponse{
				Status:  "200 OK",
				Outcome: &model.OperationOutcome{Issue: []model.OutcomeIssue{Told("information", "informational", "the RelatedPerson is kept within the Coverage that names it", "")}},
			}})
		case e.coverage != nil:
			out.Entry = append(out.Entry, coverages[n].entry())
			n++
		default:
			out.Entry = append(out.Entry, persons[e.person].entry())
		}
	}
	return out
}

func (c Created) entry() model.BundleEntry {
	response := &model.BundleResponse{Status: "200 OK", Location: c.Location, Etag: c.ETag}
	if c.Added {
		response.Status = "201 Created"
	}
	if len(c.Issues) > 0 {
		response.Outcome = &model.OperationOutcome{Issue: c.Issues}
	}
	return model.BundleEntry{FullURL: c.Location, Resource: c.Resource, Response: response}
}
