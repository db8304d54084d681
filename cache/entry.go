package cache

import (
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// entry is one step of a source's feed. Its fields in the stream:
//
//	n  nonce, by which a follower knows the entry again
//	f  number of the fetch
//	a  end of the fetch, milliseconds since 1970
//	w  names of windows that changed (see packKeys)
//	c  check (JSON)
//	d  names of directory records that changed (see packTexts)
//	s  1: the status changed
//	m  ids of slots whose claim, fence or generation changed (see packTexts)
type entry struct {
	seq     uint64
	nonce   string
	fetch   uint64
	at      time.Time
	windows []scheduling.WindowKey
	check   *scheduling.Check
	records []string
	status  bool
	marks   []string
}

func readEntry(m redis.XMessage) (entry, error) {
	text := func(field string) string {
		t, _ := m.Values[field].(string)
		return t
	}
	number, _, _ := strings.Cut(m.ID, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return entry{}, errDamaged
	}
	e := entry{seq: seq, nonce: text("n"), status: text("s") != ""}
	e.fetch, _ = strconv.ParseUint(text("f"), 10, 64)
	if ms, err := strconv.ParseInt(text("a"), 10, 64); err == nil {
		e.at = time.UnixMilli(ms).UTC()
	}
	if e.windows, err = readKeys(text("w")); err != nil {
		return entry{}, err
	}
	if c := text("c"); c != "" {
		told, err := readCheck("", c)
		if err != nil {
			return entry{}, err
		}
		check := told.domain()
		e.check = &check
	}
	if e.records, err = readTextList(text("d")); err != nil {
		return entry{}, err
	}
	e.marks, err = readTextList(text("m"))
	return e, err
}

// position is where a follower of a source stands: after the entry seq, which
// had this nonce, in this life of the source.
type position struct {
	life  string
	seq   uint64
	nonce string
}

// positionFields are the fields of meta that make a position.
func positionFields() []string { return []string{"life", "seq", "nonce"} }

func readPosition(values []any) position {
	p := position{life: textAt(values, 0), nonce: textAt(values, 2)}
	p.seq, _ = strconv.ParseUint(textAt(values, 1), 10, 64)
	return p
}

// next checks the entries that were read from the position on, its own included,
// and gives those after it. ok is false when one is missing or is another than
// expected: entries were trimmed, or Redis lost some and others took their numbers.
func (p position) next(messages []redis.XMessage) (entries []entry, ok bool) {
	for i, m := range messages {
		e, err := readEntry(m)
		if err != nil {
			return nil, false
		}
		own := i == 0 && p.seq > 0
		switch {
		case own && (e.seq != p.seq || e.nonce != p.nonce):
			return nil, false
		case own:
			continue
		case e.seq != p.seq+1:
			return nil, false
		}
		p.seq, p.nonce = e.seq, e.nonce
		entries = append(entries, e)
	}
	return entries, len(messages) > 0
}
