package upstream

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// codeMap maps a source's own codes to common ones. It never changes once read.
type codeMap struct {
	to     map[codeKey]scheduling.Coding
	common map[string]bool // systems that are common already
}

type codeKey struct{ system, code string }

// maxCodes is far above any real map: whole code systems do not belong here.
const maxCodes = 16 << 20

// loadCodes reads a CSV file or a FHIR ConceptMap; nil for no path. Errors name
// what to do.
func loadCodes(path string) (*codeMap, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no file, no map
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w; name a CSV file or a ConceptMap", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxCodes))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w; name a CSV file or a ConceptMap", err)
	}
	return parseCodes(data)
}

func parseCodes(data []byte) (*codeMap, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	m := &codeMap{to: map[codeKey]scheduling.Coding{}, common: map[string]bool{}}
	read := m.readCSV
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		read = m.readConceptMap
	}
	if err := read(data); err != nil {
		return nil, err
	}
	if len(m.to) == 0 {
		return nil, errors.New("maps no code; write lines, or leave `codes` out")
	}
	return m, nil
}

var codesHeader = []string{"system", "code", "common_system", "common_code", "display"}

func (m *codeMap) readCSV(data []byte) error {
	lines := csv.NewReader(bytes.NewReader(data))
	lines.FieldsPerRecord, lines.TrimLeadingSpace, lines.Comment = -1, true, '#'
	head, err := lines.Read()
	if err != nil || len(head) < 4 || len(head) > 5 || strings.Join(head, ",") != strings.Join(codesHeader[:len(head)], ",") {
		return errors.New("begins with no header; write system,code,common_system,common_code,display")
	}
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			return fmt.Errorf("line %d: is not CSV; write fields with commas between them", broken.Line)
		}
		line, _ := lines.FieldPos(0)
		if len(fields) < 4 || len(fields) > 5 {
			return fmt.Errorf("line %d: needs 4 or 5 fields: system,code,common_system,common_code,display", line)
		}
		display := ""
		if len(fields) == 5 {
			display = fields[4]
		}
		if err = m.add(fields[0], fields[1], fields[2], fields[3], display); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// add maps one code. An empty system matches the code in any system.
func (m *codeMap) add(system, code, commonSystem, commonCode, display string) error {
	if code == "" || commonSystem == "" || commonCode == "" {
		return errors.New("code, common_system and common_code must not be empty")
	}
	key := codeKey{fhir.System(system), code}
	to := scheduling.Coding{System: fhir.System(commonSystem), Code: commonCode, Display: display}
	if old, twice := m.to[key]; twice && (old.System != to.System || old.Code != to.Code) {
		return fmt.Errorf("%q is mapped twice; keep one", code)
	}
	m.to[key] = to
	m.common[to.System] = true
	return nil
}

// conceptMap is what of a ConceptMap is read: STU3, R4, and R5's relationship
// (http://hl7.org/fhir/R4/conceptmap.html).
type conceptMap struct {
	ResourceType string `json:"resourceType"`
	Group        []struct {
		Source  string `json:"source"`
		Target  string `json:"target"`
		Element []struct {
			Code   string `json:"code"`
			Target []struct {
				Code         string `json:"code"`
				Display      string `json:"display"`
				Equivalence  string `json:"equivalence"`
				Relationship string `json:"relationship"`
			} `json:"target"`
		} `json:"element"`
	} `json:"group"`
}

func (m *codeMap) readConceptMap(data []byte) error {
	var in conceptMap
	if json.Unmarshal(data, &in) != nil || in.ResourceType != "ConceptMap" {
		return errors.New("is JSON but no ConceptMap; write one, or CSV")
	}
	for _, group := range in.Group {
		for _, element := range group.Element {
			for _, target := range element.Target {
				unrelated := oneOf(target.Equivalence, "unmatched", "disjoint") || target.Relationship == "not-related-to"
				if unrelated || target.Code == "" {
					continue
				}
				if err := m.add(group.Source, element.Code, group.Target, target.Code, target.Display); err != nil {
					return err
				}
				break // the first is the best: that is how maps are written
			}
		}
	}
	return nil
}

// find gives the common coding of one of the source's.
func (m *codeMap) find(c scheduling.Coding) (scheduling.Coding, bool) {
	to, ok := m.to[codeKey{c.System, c.Code}]
	if !ok {
		to, ok = m.to[codeKey{"", c.Code}]
	}
	return to, ok
}

// concepts puts the common coding first and keeps the source's own beside it.
// unmapped counts concepts that have codes and no common one. The list given is
// not changed; without a difference it is returned as it is.
func (m *codeMap) concepts(list []scheduling.Concept) (out []scheduling.Concept, unmapped int) {
	out = list
	for i, concept := range list {
		common, state := m.commonOf(concept)
		switch state {
		case codeUnmapped:
			unmapped++
		case codeMapped:
			if &out[0] == &list[0] {
				out = append([]scheduling.Concept(nil), list...)
			}
			out[i].Codings = append([]scheduling.Coding{common}, concept.Codings...)
		}
	}
	return out, unmapped
}

type codeState int

const (
	codeFine codeState = iota // a common one is there already, or there is no code
	codeMapped
	codeUnmapped
)

func (m *codeMap) commonOf(concept scheduling.Concept) (scheduling.Coding, codeState) {
	state := codeFine
	for _, coding := range concept.Codings {
		common, ok := m.find(coding)
		switch {
		case ok && has(concept, common), m.common[coding.System]:
			return scheduling.Coding{}, codeFine
		case ok:
			if common.Display == "" {
				common.Display = coding.Display
			}
			return common, codeMapped
		case coding.Code != "":
			state = codeUnmapped
		}
	}
	return scheduling.Coding{}, state
}

func has(concept scheduling.Concept, coding scheduling.Coding) bool {
	for _, one := range concept.Codings {
		if one.System == coding.System && one.Code == coding.Code {
			return true
		}
	}
	return false
}

// count is concepts, with the unmapped counted under what they code.
func (m *codeMap) count(list []scheduling.Concept, what scheduling.Reason, unmapped scheduling.Tally) []scheduling.Concept {
	if m == nil || len(list) == 0 {
		return list
	}
	out, n := m.concepts(list)
	unmapped.Add(what, n)
	return out
}

// directory maps the codes of all records. The records are ours alone so far.
func (m *codeMap) directory(dir scheduling.Directory, unmapped scheduling.Tally) {
	if m == nil {
		return
	}
	for _, s := range dir.Schedules {
		s.Specialty = m.count(s.Specialty, "specialty", unmapped)
		s.ServiceType = m.count(s.ServiceType, "service-type", unmapped)
		s.ServiceCategory = m.count(s.ServiceCategory, "service-category", unmapped)
	}
	for _, r := range dir.Roles {
		r.Specialty = m.count(r.Specialty, "specialty", unmapped)
	}
	for _, s := range dir.Services {
		s.Specialty = m.count(s.Specialty, "specialty", unmapped)
		s.Type = m.count(s.Type, "service-type", unmapped)
		s.Category = m.count(s.Category, "service-category", unmapped)
	}
}
