package fhir

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// NativePatient is what an EHR shows of a Patient.
func NativePatient(p *model.Patient) scheduling.NativePatient {
	return scheduling.NativePatient{
		ID: p.ID, Identifiers: personIdentifiers(p.Identifier), Names: personNames(p.Name), BirthDate: p.BirthDate, Gender: p.Gender,
		Closed: p.Active != nil && !*p.Active || closedBy(p.X),
	}
}

// closedBy reads those elements of a Patient that this package has no fields for:
// whether they have died, and whether another Patient stands in their place
// (http://hl7.org/fhir/R4/patient.html#links). What cannot be understood is taken
// for the worse.
func closedBy(rest jsontext.Value) bool {
	if len(rest) == 0 {
		return false
	}
	var said struct {
		Dead     jsontext.Value `json:"deceasedBoolean"`
		DiedAt   jsontext.Value `json:"deceasedDateTime"`
		DeadNote jsontext.Value `json:"_deceasedDateTime"`
		Link     []struct {
			Type string `json:"type"`
		} `json:"link"`
	}
	if json.Unmarshal(rest, &said) != nil {
		return true
	}
	if not := text(string(said.Dead)); not != "" && strings.Trim(not, `"`) != "false" || len(said.DiedAt)+len(said.DeadNote) > 0 {
		return true
	}
	for _, link := range said.Link {
		// STU3 and R4 have the same four: replaced-by, replaces, refer, seealso.
		if link.Type == "replaced-by" || link.Type == "refer" {
			return true
		}
	}
	return false
}
