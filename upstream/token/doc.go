// Package token logs Slotgate in at a source: with nothing, with a fixed
// bearer token, with an OAuth client secret, or with an assertion signed by our
// own key (SMART Backend Services, private_key_jwt).
//
// A [Source] hands out the token that goes into one request. It asks the token
// endpoint once however many calls need a token at the same moment, renews
// before the old one ends, and forgets a token that the EHR refused.
//
// The token endpoint is pinned: it is the configured one, or that of the first
// good discovery, for as long as the process lives. A redirect away from it is
// not followed. Neither tokens nor what the endpoint answered ever stand in an
// error.
package token
