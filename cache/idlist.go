package cache

import (
	"encoding/hex"
	"strings"
)

// How a list of ids is written.
const (
	idsAsText = iota // common beginning, then each rest with its length
	idsAsUUID        // 16 bytes each
)

// appendIDs writes a list of ids whose number the reader knows.
func appendIDs(b []byte, ids []string) []byte {
	if allUUID(ids) {
		b = append(b, idsAsUUID)
		for _, id := range ids {
			b, _ = hex.AppendDecode(b, []byte(strings.ReplaceAll(id, "-", "")))
		}
		return b
	}
	prefix := commonPrefix(ids)
	b = append(b, idsAsText)
	b = appendText(b, prefix)
	for _, id := range ids {
		b = appendText(b, id[len(prefix):])
	}
	return b
}

func readIDs(r *reader, n int) []string {
	switch r.byte() {
	case idsAsUUID:
		return readUUIDs(r, n)
	case idsAsText:
		return readTexts(r, n)
	default:
		r.fail()
		return nil
	}
}

// maxPrefix bounds the common beginning, so that a short record cannot ask for
// much memory. FHIR's ids have 64 characters at most.
const maxPrefix = 64

// readTexts puts all ids of a window into one piece of memory.
func readTexts(r *reader, n int) []string {
	prefix := r.sized()
	if r.bad || n > len(r.rest) || len(prefix) > maxPrefix {
		r.fail()
		return nil
	}
	ids := make([]string, n)
	for i := range ids {
		ids[i] = r.sized()
	}
	if prefix == "" || r.bad {
		return ids
	}
	var all strings.Builder
	for _, id := range ids {
		all.WriteString(prefix)
		all.WriteString(id)
	}
	rest := all.String()
	for i, id := range ids {
		ids[i], rest = rest[:len(prefix)+len(id)], rest[len(prefix)+len(id):]
	}
	return ids
}

const uuidLength = 36

func readUUIDs(r *reader, n int) []string {
	raw := r.text(uint64(n) * 16)
	if r.bad {
		return nil
	}
	text := make([]byte, 0, n*uuidLength)
	for i := range n {
		u := []byte(raw[i*16 : i*16+16])
		for k, part := range [][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
			if k > 0 {
				text = append(text, '-')
			}
			text = hex.AppendEncode(text, part)
		}
	}
	all := string(text)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = all[i*uuidLength : (i+1)*uuidLength]
	}
	return ids
}

// allUUID tells whether every id is a UUID in the one form that we give back:
// lower case, with hyphens.
func allUUID(ids []string) bool {
	for _, id := range ids {
		if !isUUID(id) {
			return false
		}
	}
	return len(ids) > 0
}

func isUUID(id string) bool {
	if len(id) != uuidLength {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func commonPrefix(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	prefix := ids[0]
	for _, id := range ids[1:] {
		n := 0
		for n < len(prefix) && n < len(id) && prefix[n] == id[n] {
			n++
		}
		prefix = prefix[:n]
	}
	return prefix[:min(len(prefix), maxPrefix)]
}
