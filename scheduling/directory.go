package scheduling

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// HumanName is a person's name.
type HumanName struct {
	Text   string   `json:"text,omitempty"`
	Family string   `json:"family,omitempty"`
	Given  []string `json:"given,omitempty"`
	Prefix []string `json:"prefix,omitempty"`
	Suffix []string `json:"suffix,omitempty"`
}

// Display is the name as one line: prefix, given, family, suffix.
func (n HumanName) Display() string {
	if n.Text != "" {
		return n.Text
	}
	parts := append(append([]string{}, n.Prefix...), n.Given...)
	if n.Family != "" {
		parts = append(parts, n.Family)
	}
	return strings.Join(append(parts, n.Suffix...), " ")
}

// Address is a postal address.
type Address struct {
	Text       string   `json:"text,omitempty"`
	Line       []string `json:"line,omitempty"`
	City       string   `json:"city,omitempty"`
	District   string   `json:"district,omitempty"`
	State      string   `json:"state,omitempty"`
	PostalCode string   `json:"postalCode,omitempty"`
	Country    string   `json:"country,omitempty"`
}

// Parts are the strings that a search of location-string looks into.
func (a Address) Parts() []string {
	return append([]string{a.Text, a.City, a.District, a.State, a.PostalCode, a.Country}, a.Line...)
}

// Telecom is a phone number or an e-mail address of a place or a practice.
type Telecom struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value,omitempty"`
	Use    string `json:"use,omitempty"`
}

// Practitioner is a person who sees patients.
type Practitioner struct {
	ID          string       `json:"id"` // within the source, as in all below
	Identifiers []Identifier `json:"identifier,omitempty"`
	Inactive    bool         `json:"inactive,omitempty"`
	Name        HumanName    `json:"name"`
	Gender      string       `json:"gender,omitempty"`
}

// Location is a place. Zone is its IANA zone where the source tells it.
type Location struct {
	ID           string       `json:"id"`
	Identifiers  []Identifier `json:"identifier,omitempty"`
	Inactive     bool         `json:"inactive,omitempty"`
	Name         string       `json:"name,omitempty"`
	Description  string       `json:"description,omitempty"`
	Telecom      []Telecom    `json:"telecom,omitempty"`
	Address      Address      `json:"address"`
	Position     *Position    `json:"position,omitempty"`
	Zone         string       `json:"zone,omitempty"`
	Organization string       `json:"organization,omitempty"` // managing it
}

// Organization is a practice, a clinic, a hospital.
type Organization struct {
	ID          string       `json:"id"`
	Identifiers []Identifier `json:"identifier,omitempty"`
	Inactive    bool         `json:"inactive,omitempty"`
	Name        string       `json:"name,omitempty"`
	Telecom     []Telecom    `json:"telecom,omitempty"`
	Address     []Address    `json:"address,omitempty"`
	PartOf      string       `json:"partOf,omitempty"`
}

// Role is what a practitioner does for an organization at its places
// (PractitionerRole).
type Role struct {
	ID           string       `json:"id"`
	Identifiers  []Identifier `json:"identifier,omitempty"`
	Inactive     bool         `json:"inactive,omitempty"`
	Practitioner string       `json:"practitioner,omitempty"`
	Organization string       `json:"organization,omitempty"`
	Locations    []string     `json:"location,omitempty"`
	Services     []string     `json:"healthcareService,omitempty"`
	Code         []Concept    `json:"code,omitempty"`
	Specialty    []Concept    `json:"specialty,omitempty"`
	Telecom      []Telecom    `json:"telecom,omitempty"`
}

// Service is something that a place offers (HealthcareService).
type Service struct {
	ID           string       `json:"id"`
	Identifiers  []Identifier `json:"identifier,omitempty"`
	Inactive     bool         `json:"inactive,omitempty"`
	Name         string       `json:"name,omitempty"`
	Organization string       `json:"providedBy,omitempty"`
	Locations    []string     `json:"location,omitempty"`
	Category     []Concept    `json:"category,omitempty"`
	Type         []Concept    `json:"type,omitempty"`
	Specialty    []Concept    `json:"specialty,omitempty"`
}

// Actor is one of those whom a schedule binds.
type Actor struct {
	Kind    Kind   `json:"kind"`
	ID      string `json:"id,omitempty"` // "" where the source gives a name only
	Display string `json:"display,omitempty"`
}

// Schedule says who works where.
type Schedule struct {
	ID              string       `json:"id"`
	Identifiers     []Identifier `json:"identifier,omitempty"`
	Inactive        bool         `json:"inactive,omitempty"`
	Actors          []Actor      `json:"actor,omitempty"`
	ServiceCategory []Concept    `json:"serviceCategory,omitempty"`
	ServiceType     []Concept    `json:"serviceType,omitempty"`
	Specialty       []Concept    `json:"specialty,omitempty"`
	HorizonStart    string       `json:"horizonStart,omitempty"` // as written: often wrong
	HorizonEnd      string       `json:"horizonEnd,omitempty"`
	Comment         string       `json:"comment,omitempty"`
	// Virtual: made by us for a source that proposes appointments without
	// naming schedules. It is not shown in the directory.
	Virtual bool `json:"virtual,omitempty"`
}

// Directory is who and what a source has, each by its id within the source.
type Directory struct {
	Practitioners map[string]*Practitioner
	Roles         map[string]*Role
	Locations     map[string]*Location
	Organizations map[string]*Organization
	Services      map[string]*Service
	Schedules     map[string]*Schedule
}

// NewDirectory is an empty directory that can be written to.
func NewDirectory() Directory {
	return Directory{
		Practitioners: map[string]*Practitioner{},
		Roles:         map[string]*Role{},
		Locations:     map[string]*Location{},
		Organizations: map[string]*Organization{},
		Services:      map[string]*Service{},
		Schedules:     map[string]*Schedule{},
	}
}

// Len is the number of records.
func (d Directory) Len() int {
	return len(d.Practitioners) + len(d.Roles) + len(d.Locations) +
		len(d.Organizations) + len(d.Services) + len(d.Schedules)
}

// Merge takes every record of other, over one of the same kind and id. d must
// come from NewDirectory. Records are shared, and nobody may change them.
func (d Directory) Merge(other Directory) {
	mergeInto(d.Practitioners, other.Practitioners)
	mergeInto(d.Roles, other.Roles)
	mergeInto(d.Locations, other.Locations)
	mergeInto(d.Organizations, other.Organizations)
	mergeInto(d.Services, other.Services)
	mergeInto(d.Schedules, other.Schedules)
}

func mergeInto[T any](to, from map[string]*T) {
	for id, record := range from {
		to[id] = record
	}
}

// Zones are the different zones of the source's places, in order of name, and
// before them fallback (if not nil): the zones in which its days are cut.
func (d Directory) Zones(fallback *time.Location) []*time.Location {
	byName := d.zonesByName()
	var zones []*time.Location
	if fallback != nil {
		zones = append(zones, fallback)
		delete(byName, fallback.String())
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		zones = append(zones, byName[name])
	}
	return zones
}

// zonesByName loads each zone of the places once. A name that is no zone is
// left out: the source's own zone then holds.
func (d Directory) zonesByName() map[string]*time.Location {
	zones := map[string]*time.Location{}
	for _, place := range d.Locations {
		if place.Zone == "" || zones[place.Zone] != nil {
			continue
		}
		if zone, err := time.LoadLocation(place.Zone); err == nil {
			zones[place.Zone] = zone
		}
	}
	return zones
}
