package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// minSecret is the shortest secret that cursors may be signed with, in bytes.
const minSecret = 16

// cursors makes and reads the opaque places in an answer's order that next
// links carry. A cursor names the last entry of the page before, not a number
// of entries, so that no offer comes twice or is left out while others come
// and go. It is signed, holds for one query only, and for a time.
//
// Gateways of one secret read each other's.
type cursors struct {
	keys atomic.Pointer[[][]byte] // the first signs, all are read
	ttl  time.Duration
	now  func() time.Time
}

func newCursors(secret []byte, ttl time.Duration, now func() time.Time) (*cursors, error) {
	c := &cursors{ttl: ttl, now: now}
	return c, c.set(secret)
}

// set takes other secrets: the first signs, the older ones are still read.
func (c *cursors) set(secrets ...[]byte) error {
	var keys [][]byte
	for _, secret := range secrets {
		if len(secret) < minSecret {
			return fmt.Errorf("gateway: the secret of cursors needs %d bytes", minSecret)
		}
		// The secret may serve other purposes as well: this key serves one.
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte("slotgate cursor v1"))
		keys = append(keys, mac.Sum(nil))
	}
	c.keys.Store(&keys)
	return nil
}

// SetSecrets takes other secrets for cursors, as when the shared store was away
// at the start or was emptied since: the first signs, the older ones are read
// until their cursors have expired. What sources show with their notifications
// follows from them, too.
func (s *Server) SetSecrets(current []byte, older ...[]byte) error {
	all := append([][]byte{current}, older...)
	if err := s.cursors.set(all...); err != nil {
		return err
	}
	s.secrets.Store(&all)
	return nil
}

// A cursor is: expiry (Unix seconds), start (Unix nanoseconds), the signature
// cut to 16 bytes, and the id.
const (
	cursorSign = 16
	cursorHead = 8 + 8 + cursorSign
	cursorMax  = 256
)

// make gives the cursor of a place, for the query.
func (c *cursors) make(query string, at scheduling.Cursor) string {
	raw := make([]byte, cursorHead, cursorHead+len(at.ID))
	binary.BigEndian.PutUint64(raw, uint64(c.now().Add(c.ttl).Unix()))
	if !at.Start.IsZero() {
		binary.BigEndian.PutUint64(raw[8:], uint64(at.Start.UnixNano()))
	}
	raw = append(raw, at.ID...)
	copy(raw[16:], sign((*c.keys.Load())[0], query, raw))
	return base64.RawURLEncoding.EncodeToString(raw)
}

var errCursor = errors.New("gateway: forged, foreign or broken cursor")

// read gives the place of a cursor. A forged, foreign or expired one is a
// bad-request.
func (c *cursors) read(query, text string) (scheduling.Cursor, error) {
	if len(text) > cursorMax {
		return scheduling.Cursor{}, refuseCursor(errCursor)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < cursorHead {
		return scheduling.Cursor{}, refuseCursor(errCursor)
	}
	if !c.signed(query, raw) {
		return scheduling.Cursor{}, refuseCursor(errCursor)
	}
	if c.now().Unix() >= int64(binary.BigEndian.Uint64(raw)) {
		return scheduling.Cursor{}, scheduling.Refuse(scheduling.BadRequest, fhir.CursorParam,
			"this next link has expired; ask again without it")
	}
	at := scheduling.Cursor{ID: string(raw[cursorHead:])}
	if nanos := int64(binary.BigEndian.Uint64(raw[8:])); nanos != 0 {
		at.Start = time.Unix(0, nanos).UTC()
	}
	return at, nil
}

func refuseCursor(cause error) error {
	e := scheduling.Refuse(scheduling.BadRequest, fhir.CursorParam,
		"this cursor is not one of this search; follow next links as they are")
	e.Err = cause
	return e
}

// signed tells whether one of the keys signed this cursor.
func (c *cursors) signed(query string, raw []byte) bool {
	for _, key := range *c.keys.Load() {
		if hmac.Equal(raw[16:cursorHead], sign(key, query, raw)) {
			return true
		}
	}
	return false
}

// sign covers everything but the signature's own place.
func sign(key []byte, query string, raw []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(raw[:16])
	mac.Write(raw[cursorHead:])
	mac.Write([]byte{0})
	mac.Write([]byte(query))
	return mac.Sum(nil)[:cursorSign]
}
