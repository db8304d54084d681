package cache

import (
	"encoding/binary"

	"slotgate/scheduling"
)

// packKeys names windows for the feed: for each day its number, a count and so
// many schedules.
func packKeys(ops []op) string {
	var b []byte
	for _, day := range byDay(ops) {
		b = binary.AppendVarint(b, int64(day[0].key.Day))
		b = binary.AppendUvarint(b, uint64(len(day)))
		for _, o := range day {
			b = appendText(b, o.key.Schedule)
		}
	}
	return string(b)
}

func readKeys(text string) ([]scheduling.WindowKey, error) {
	var keys []scheduling.WindowKey
	r := &reader{rest: text}
	for r.rest != "" {
		day := r.varint()
		if day != int64(int32(day)) {
			r.fail()
		}
		for range r.count(1) {
			keys = append(keys, scheduling.WindowKey{Schedule: r.sized(), Day: scheduling.Day(day)})
		}
	}
	return keys, r.end()
}

// packTexts and readTextList write a list of texts.
func packTexts(texts []string) string {
	var b []byte
	for _, text := range texts {
		b = appendText(b, text)
	}
	return string(b)
}

func readTextList(text string) ([]string, error) {
	var texts []string
	r := &reader{rest: text}
	for r.rest != "" {
		texts = append(texts, r.sized())
	}
	return texts, r.end()
}
