package model

// Parameters is the input or output of an operation.
type Parameters struct {
	Base
	Parameter []Parameter `json:"parameter,omitempty"`
}

// ResourceType is "Parameters".
func (*Parameters) ResourceType() string { return "Parameters" }

// Parameter is one named value: one value[x], a resource, or parts.
type Parameter struct {
	Element
	Name                 string           `json:"name,omitempty"`
	ValueString          string           `json:"valueString,omitempty"`
	ValueCode            string           `json:"valueCode,omitempty"`
	ValueID              string           `json:"valueId,omitempty"`
	ValueURI             string           `json:"valueUri,omitempty"`
	ValueURL             string           `json:"valueUrl,omitempty"`       // R4
	ValueCanonical       string           `json:"valueCanonical,omitempty"` // R4
	ValueOID             string           `json:"valueOid,omitempty"`
	ValueUUID            string           `json:"valueUuid,omitempty"`
	ValueMarkdown        string           `json:"valueMarkdown,omitempty"`
	ValueDate            string           `json:"valueDate,omitempty"`
	ValueDateTime        string           `json:"valueDateTime,omitempty"`
	ValueInstant         string           `json:"valueInstant,omitempty"`
	ValueTime            string           `json:"valueTime,omitempty"`
	ValueBoolean         *bool            `json:"valueBoolean,omitempty"`
	ValueInteger         *int             `json:"valueInteger,omitempty"`
	ValuePositiveInt     *int             `json:"valuePositiveInt,omitempty"`
	ValueUnsignedInt     *int             `json:"valueUnsignedInt,omitempty"`
	ValueDecimal         Decimal          `json:"valueDecimal,omitempty"`
	ValueCoding          *Coding          `json:"valueCoding,omitempty"`
	ValueCodeableConcept *CodeableConcept `json:"valueCodeableConcept,omitempty"`
	ValueIdentifier      *Identifier      `json:"valueIdentifier,omitempty"`
	ValueReference       *Reference       `json:"valueReference,omitempty"`
	ValuePeriod          *Period          `json:"valuePeriod,omitempty"`
	ValueQuantity        *Quantity        `json:"valueQuantity,omitempty"`
	Resource             Resource         `json:"resource,omitempty"`
	Part                 []Parameter      `json:"part,omitempty"`
}

// Get gives the first parameter of a name, or nil.
func (p *Parameters) Get(name string) *Parameter {
	for i := range p.Parameter {
		if p.Parameter[i].Name == name {
			return &p.Parameter[i]
		}
	}
	return nil
}

// Texts are the primitive values of a parameter, whichever value[x] carries
// them; a well-formed parameter has one at most.
func (p *Parameter) Texts() []string {
	var out []string
	for _, s := range []string{
		p.ValueString, p.ValueCode, p.ValueID, p.ValueURI, p.ValueURL, p.ValueCanonical, p.ValueOID,
		p.ValueUUID, p.ValueMarkdown, p.ValueDate, p.ValueDateTime, p.ValueInstant, p.ValueTime,
	} {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}
