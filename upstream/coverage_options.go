package upstream

import (
	"encoding/json"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Insurance is when one source is told of a patient's coverage.
type Insurance struct {
	// Coverage is none, after (the booking), before, first (as before, and no
	// booking without it) or auto: after for argonaut, none for epic and links, and
	// else after wherever the CapabilityStatement does not deny it. Default: auto.
	Coverage string `yaml:"coverage"`
}

// SetDefaults fills in what was not given.
func (i *Insurance) SetDefaults() { setDefault(&i.Coverage, auto) }

// Validate tells everything that is wrong. Each message begins with the key.
func (i *Insurance) Validate() error {
	return need("coverage", oneOf(i.Coverage, "", auto) || scheduling.CoverWay(i.Coverage).Valid(),
		"is %q; write auto, none, after, before or first", i.Coverage)
}

// Covering is how coverage is sent here. What the CapabilityStatement tells
// counts from the first call on.
func (c *Client) Covering() scheduling.Covering {
	t, b := c.learnt(), &c.opts.Booking
	return scheduling.Covering{
		Way: c.coverWay(t), Conditional: c.coversOnce(t),
		CallTimeout: b.CallTimeout.Std(), ReadTimeout: b.ReadTimeout.Std(), Settle: b.Settle.Std(), Lag: b.Lag.Std(),
	}
}

func (c *Client) coverWay(t *traits) scheduling.CoverWay {
	switch choice := c.opts.Coverage; {
	case c.opts.Readonly:
		return scheduling.CoverNone
	case choice != "" && choice != auto:
		return scheduling.CoverWay(choice)
	case c.opts.Dialect == Epic, c.opts.Dialect == Links:
		return scheduling.CoverNone
	case c.opts.Dialect == Argonaut, !t.types, can(t.coverage, "create", false):
		return scheduling.CoverAfter
	default:
		return scheduling.CoverNone
	}
}

// coversOnce: a create of a Coverage may be conditional. The source says so, or
// tells nothing of Coverage and is configured as one that knows If-None-Exist.
func (c *Client) coversOnce(t *traits) bool {
	if t.coverage != nil {
		return ConditionalCreate(t.coverage)
	}
	return scheduling.RegisterWay(c.opts.Register.Register) == scheduling.RegisterIfNoneExist
}

// ConditionalCreate: the source says that it knows If-None-Exist for a type.
func ConditionalCreate(r *model.CapabilityResource) bool {
	var rest struct {
		ConditionalCreate bool `json:"conditionalCreate"`
	}
	return r != nil && len(r.X) > 0 && json.Unmarshal(r.X, &rest) == nil && rest.ConditionalCreate
}
