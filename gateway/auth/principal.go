package auth

import (
	"context"
	"slices"

	"slotgate/scheduling"
)

// Principal is who is behind a request: a caller, and one of its end users.
type Principal struct {
	Caller  string // the caller's id; "" for an anonymous one
	Subject string // the end user as the caller names it; "" if it names none
	trusted []scheduling.SourceID
	rights  []Right
}

// Anonymous tells that no key was shown.
func (p Principal) Anonymous() bool { return p.Caller == "" }

// May tells whether the principal has the right.
func (p Principal) May(right Right) bool {
	return right == Open || slices.Contains(p.rights, right)
}

// Trusts tells whether the caller may use the patient ids of this source.
func (p Principal) Trusts(source scheduling.SourceID) bool {
	return slices.Contains(p.trusted, source)
}

// key is where the principal lies in a context.
type key struct{}

// With gives a context that carries the principal.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, key{}, p)
}

// From is the principal of the context: an anonymous one without rights where
// nobody was authenticated.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(key{}).(Principal)
	return p
}
