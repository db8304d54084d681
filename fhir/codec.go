package fhir

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/model"
	"slotgate/fhir/r4"
	"slotgate/fhir/stu3"
	"slotgate/scheduling"
)

var errNoType = errors.New("fhir: a resource without a resourceType")

// codec joins the version packages with the JSON library: the union types hold
// model.Resource where FHIR allows any resource, and only here is it known
// which version's types those are.
type codec struct {
	open func(resourceType string) (into any, done func() model.Resource)
	wire func(model.Resource) any
	// inside and outside rename the code systems of a resource as a whole, for
	// those types whose systems moved; nil where nothing moves.
	inside, outside func(jsontext.Value) (jsontext.Value, error)
	read            json.Options
	write           json.Options
}

func newCodec(rel scheduling.Release) *codec {
	c := &codec{open: r4.Open, wire: r4.Wire}
	marshal := json.MarshalToFunc(c.marshal)
	if rel == scheduling.STU3 {
		c.open, c.wire = stu3.Open, stu3.Wire
		c.inside, c.outside = stu3.SystemsIn, stu3.SystemsOut
		marshal = json.JoinMarshalers(marshal, stu3.Canonicals())
	}
	c.read = json.JoinOptions(
		json.WithUnmarshalers(json.UnmarshalFromFunc(c.unmarshal)),
		// Names were checked when the text was first read through.
		jsontext.AllowDuplicateNames(true),
	)
	c.write = json.WithMarshalers(marshal)
	return c
}

// decode reads one resource from JSON that was read through before.
func (c *codec) decode(raw jsontext.Value) (model.Resource, error) {
	kind := model.TypeOf(raw)
	if kind == "" {
		return nil, errNoType
	}
	into, done := c.open(kind)
	if into == nil {
		return c.raw(kind, raw)
	}
	if c.inside != nil && stu3.Moved(kind) {
		var err error
		if raw, err = c.inside(raw); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(raw, into, c.read); err != nil {
		return nil, err
	}
	return done(), nil
}

// raw keeps a resource of a type that has no fields.
func (c *codec) raw(kind string, raw jsontext.Value) (model.Resource, error) {
	var head struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(raw, &head, c.read); err != nil {
		return nil, err
	}
	return &model.Raw{Type: kind, Base: model.Base{ID: head.ID}, JSON: raw.Clone()}, nil
}

// unmarshal reads a resource within another one.
func (c *codec) unmarshal(dec *jsontext.Decoder, into *model.Resource) error {
	raw, err := dec.ReadValue()
	if err != nil || raw.Kind() == 'n' {
		return err
	}
	*into, err = c.decode(raw)
	return err
}

// marshal writes a resource within another one, and the outermost.
func (c *codec) marshal(enc *jsontext.Encoder, res model.Resource) error {
	if c.outside == nil || res == nil || !stu3.Moved(res.ResourceType()) {
		return json.MarshalEncode(enc, c.wire(res))
	}
	data, err := c.encode(res)
	if err != nil {
		return err
	}
	return enc.WriteValue(data)
}

// encode writes a resource as JSON, its type first.
func (c *codec) encode(res model.Resource) ([]byte, error) {
	data, err := json.Marshal(c.wire(res), c.write)
	if err != nil || c.outside == nil || !stu3.Moved(res.ResourceType()) {
		return data, err
	}
	return c.outside(data)
}
