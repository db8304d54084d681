// Package vault seals what tells of a person, so that whoever reads the store,
// its snapshots or its replicas learns nothing (law 10).
//
// # Sealing
//
// Seal makes an envelope, a line of text:
//
//	v1|<id of the key>|<nonce>|<ciphertext>
//
// with nonce and ciphertext in base64url. The cipher is AES-256-GCM with a
// random nonce. What the caller names as the place (the key of Redis, the
// field), the version and the id of the key are authenticated along with it: an
// envelope that was copied elsewhere cannot be opened there.
//
// # Keys
//
// The configuration has a list of keys. The first one seals, all of them open,
// so that a new key is put in front and the old one stays until nothing is
// sealed with it any more. No key is used for two things: HKDF derives one of
// its own for each purpose.
//
// # Looking up what is sealed
//
// Digest is a keyed digest (HMAC-SHA-256): equal texts give equal digests, and
// without the key nobody can try out names or numbers. Digests gives those by
// every key, for what was written before a rotation.
package vault
