package ehrsim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Names in the mix of a large American practice.
var (
	femaleNames = words("Maria Susan Priya Aisha Jennifer Mei Laura Fatima Karen Elena Grace Hannah Nadia Rosa Ingrid Keiko Amara Linda Sofia Naomi")
	maleNames   = words("James Carlos David Wei Michael Omar Robert Daniel Raj Samuel Thomas Hiroshi Andre Luis Peter Kwame Victor Ahmed Paul Brian")
	familyNames = words(`Nguyen Garcia Johnson Patel Chen Williams Okafor Kim Martinez Schmidt Rossi Haddad Brown Kowalski
		Tanaka Silva Cohen Andersson Murphy Ivanova Davis Lopez Clark Singh Rahman Baker Foster Morales Bennett Yamamoto
		Dubois Reyes Hughes Larsen Castillo Osei Wagner Mitchell Torres Adler`)
)

// specialty is what a practitioner does: SNOMED code, length of a slot, the
// visits offered (codes of Argonaut's visit-type system) and the training.
type specialty struct {
	code, display string
	minutes       int
	visits        []string
	degree        string
	taxonomy      string // NUCC provider taxonomy
}

var specialties = []specialty{
	{"419772000", "Family practice", 20, words("office-visit physical follow-up"), "MD", "207Q00000X"},
	{"394582007", "Dermatology", 15, words("office-visit consult procedure"), "MD", "207N00000X"},
	{"394537008", "Pediatric specialty", 20, words("well-child office-visit vaccine"), "MD", "208000000X"},
	{"394579002", "Cardiology", 30, words("consult follow-up echo"), "MD", "207RC0000X"},
	{"394587001", "Psychiatry", 60, words("evaluation treatment follow-up"), "MD", "2084P0800X"},
	{"394584008", "Gastroenterology", 30, words("consult follow-up egd"), "MD", "207RG0100X"},
	{"394585009", "Obstetrics and gynecology", 20, words("new-patient follow-up ultrasound"), "MD", "207V00000X"},
	{"408443003", "General medical practice", 10, words("flu-shot-clinic vaccine injection"), "NP", "363L00000X"},
	{"394594003", "Ophthalmology", 15, words("vision consult follow-up"), "MD", "207W00000X"},
	{"394591006", "Neurology", 30, words("consult eeg follow-up"), "MD", "2084N0400X"},
}

// visitNames are the displays of Argonaut's visit-type codes.
var visitNames = map[string]string{
	"office-visit": "OFFICE VISIT", "physical": "PHYSICAL", "follow-up": "FOLLOW UP", "consult": "CONSULTATION",
	"procedure": "PROCEDURE", "well-child": "WELL CHILD", "vaccine": "VACCINATION", "echo": "ECHOCARDIOGRAPHY(ECHO)",
	"evaluation": "EVALUATION", "treatment": "TREATMENT", "egd": "ESOPHAGOGASTRODUODENOSCOPY(EGD)",
	"new-patient": "NEW PATIENT", "ultrasound": "ULTRASOUND", "flu-shot-clinic": "INFLUENZA VACCINATION CLINIC",
	"injection": "INJECTION", "vision": "VISION", "eeg": "ELECTROENCEPHALOGRAPHY(EEG)",
}

// dice gives the random numbers that belong to one named thing, so that what
// one day holds never depends on what was made before it.
func dice(seed uint64, name ...string) *rand.Rand {
	h := fnv.New64a()
	for _, s := range name {
		_, _ = h.Write([]byte(s + "\x00")) // a hash never fails
	}
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// npi makes a valid National Provider Identifier: its tenth digit closes the
// Luhn sum over the card prefix 80840 and the other nine.
func npi(n int) string {
	body := "1" + fmt.Sprintf("%08d", n%100_000_000)
	return body + strconv.Itoa(luhnDigit("80840"+body))
}

func luhnDigit(s string) int {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 0 { // beside the check digit, so doubled
			d *= 2
			if d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return (10 - sum%10) % 10
}

func slug(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 32
		case r == ' ' || r == '-':
			return '-'
		}
		return -1
	}, s), "-")
}
