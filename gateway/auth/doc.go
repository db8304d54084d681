// Package auth decides who calls and what they may do.
//
// A caller is an application: a booking site, a directory, an app's backend. It
// shows its API key as
//
//	Authorization: Bearer KEY
//
// and names its end user, if it has several, in X-Slotgate-Session. Both
// together are the Principal: what one principal holds or books is nobody
// else's business, not even that of another end user of the same caller.
//
// Keys are configured by their SHA-256 alone, so that reading the config gives
// nobody a key. A key must therefore be random and long: a digest of a guessable
// one can be searched for.
//
// Whoever shows no key is anonymous, and may do what the option `anonymous`
// names: nothing, unless it is said. A key that is not known is refused also
// where none is needed: the caller has a mistake to mend. Only what is open to
// everybody (Open) does not look at keys at all.
package auth
