// Package admin is the operator's listener, apart from the one that callers
// use: health, metrics, and how each source is.
//
// It listens on the loopback address, where whoever is on the machine may read,
// or anywhere with a token. A browser on the operator's machine is a stranger
// there: names other than the loopback's in the Host header are refused (a
// hostile page may have its own name point at 127.0.0.1), and so is whatever
// would change something and comes from another origin.
//
// Nothing here names a patient, a caller's query or a word of a source: only
// codes, counts and times.
package admin
