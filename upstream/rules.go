package upstream

import (
	"errors"

	"slotgate/config"
	"slotgate/scheduling"
)

// RuleOptions are one of the clinic's own rules (see scheduling.Rule).
type RuleOptions struct {
	// VisitType are service types, as system|code, code or |code; default: all
	// that no other rule names.
	VisitType []VisitType `yaml:"visit_type"`
	// Minutes is how long an appointment is: as many adjacent slots of one
	// schedule as that takes; default: 0, one slot.
	Minutes int `yaml:"minutes"`
	// Gap is the longest pause between adjacent slots; default: 0.
	Gap config.Duration `yaml:"gap"`
	// Every is at which times appointments may begin, counted from midnight by
	// the clocks of the place; default: 0, at any slot's start.
	Every config.Duration `yaml:"every"`
	// Lead is how long before it begins it is offered last; default: 0.
	Lead config.Duration `yaml:"lead"`
	// Until is how far ahead it is offered; default: 0, as far as slots are known.
	Until config.Duration `yaml:"until"`
	// Patients: any, new or known; default: any.
	Patients string `yaml:"patients"`
	// Ages of the patients, on the day of the appointment.
	Ages AgeOptions `yaml:"ages"`
}

// AgeOptions are ages in whole years.
type AgeOptions struct {
	From int `yaml:"from"` // the first one; default: 0
	To   int `yaml:"to"`   // the last one; default: 0, no end
}

// VisitType is a service type as it stands in a rule.
type VisitType struct{ scheduling.Token }

// UnmarshalText reads system|code, code or |code.
func (v *VisitType) UnmarshalText(text []byte) error {
	token, ok := scheduling.ParseToken(string(text))
	if !ok || token.Code == "" {
		return errors.New("is no visit type; write system|code, such as http://snomed.info/sct|185389009")
	}
	v.Token = token
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (v VisitType) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// rules are the rules as everybody else knows them.
func (o *Options) rules() scheduling.Rules {
	var rules scheduling.Rules
	for i := range o.Rules {
		in := &o.Rules[i]
		r := scheduling.Rule{
			Minutes: in.Minutes, Gap: in.Gap.Std(), Every: in.Every.Std(), Lead: in.Lead.Std(), Until: in.Until.Std(),
			Patients: scheduling.Patients(in.Patients), Ages: scheduling.Ages(in.Ages),
		}
		if in.Patients == "any" {
			r.Patients = scheduling.AnyPatients
		}
		for _, v := range in.VisitType {
			r.VisitTypes = append(r.VisitTypes, v.Token)
		}
		rules = append(rules, r)
	}
	return rules
}

// checkRules tells what is wrong with the rules, each under its own key.
func (o *Options) checkRules() error {
	var all []error
	rules := o.rules()
	for _, e := range append(flat(rules.Validate()), flat(o.books(rules))...) {
		all = append(all, errors.New("rules"+e.Error()))
	}
	return errors.Join(all...)
}

// flat is the errors of a joined one.
func flat(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
