package cache

import (
	"encoding/binary"
	"errors"
)

// errDamaged says that bytes from Redis are not what this package writes.
var errDamaged = errors.New("cache: damaged record")

// appendText writes a text with its length in front.
func appendText(b []byte, text string) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

// reader reads what the append functions wrote. After the first error it gives
// zero values, so that callers look at bad once. The texts it gives share the
// memory of the one it reads.
type reader struct {
	rest string
	bad  bool
}

func (r *reader) fail() {
	r.rest, r.bad = "", true
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	var v uint64
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		b := r.rest[i]
		if i == binary.MaxVarintLen64-1 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.rest = r.rest[i+1:]
			return v
		}
	}
	r.fail()
	return 0
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// text is the next n bytes.
func (r *reader) text(n uint64) string {
	if n > uint64(len(r.rest)) {
		r.fail()
		return ""
	}
	t := r.rest[:n]
	r.rest = r.rest[n:]
	return t
}

func (r *reader) sized() string { return r.text(r.uvarint()) }

// count is a number of things that take at least size bytes each: more than
// the rest could hold is refused, so that nobody makes room for it.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.rest)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

// index is a place in a list of n.
func (r *reader) index(n int) int {
	i := r.uvarint()
	if i >= uint64(n) {
		r.fail()
		return 0
	}
	return int(i)
}

// end is the error, if there was one, or if something is left over.
func (r *reader) end() error {
	if r.bad || r.rest != "" {
		return errDamaged
	}
	return nil
}
