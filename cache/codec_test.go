package cache

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"slotgate/scheduling"
)

func conceptsOf(t *rapid.T, label string) []scheduling.Concept {
	text := rapid.SampledFrom([]string{"", "http://snomed.info/sct", "394814009", "Général", "x|y"})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) scheduling.Concept {
		c := scheduling.Concept{Text: text.Draw(t, "text")}
		for range rapid.IntRange(0, 2).Draw(t, "codings") {
			c.Codings = append(c.Codings, scheduling.Coding{
				System: text.Draw(t, "system"), Code: text.Draw(t, "code"), Display: text.Draw(t, "display"),
			})
		}
		return c
	}), 0, 2).Draw(t, label)
}

func nilIfEmpty(c []scheduling.Concept) []scheduling.Concept {
	if len(c) == 0 {
		return nil
	}
	return c
}

func slotOf(t *rapid.T, key scheduling.WindowKey, unit time.Duration) scheduling.Slot {
	id := rapid.OneOf(
		rapid.StringN(0, 12, 64),
		rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
		rapid.StringMatching(`Slot-[0-9]{1,6}`),
		rapid.Just(strings.Repeat("p", 90)+"1"),
	)
	offset := time.Duration(rapid.Int64Range(-2_000_000, 2_000_000).Draw(t, "start")) * unit
	s := scheduling.Slot{
		ID: id.Draw(t, "id"), Schedule: key.Schedule,
		Virtual: rapid.Bool().Draw(t, "virtual"), Status: rapid.SampledFrom([]scheduling.SlotStatus{"free", "busy", ""}).Draw(t, "status"),
		Start:           dayStart(key.Day).Add(offset),
		ServiceCategory: nilIfEmpty(conceptsOf(t, "category")), ServiceType: nilIfEmpty(conceptsOf(t, "type")),
		Specialty: nilIfEmpty(conceptsOf(t, "specialty")), Comment: rapid.SampledFrom([]string{"", "bring it"}).Draw(t, "comment"),
	}
	s.End = s.Start.Add(time.Duration(rapid.Int64Range(-100, 2000).Draw(t, "length")) * unit)
	if one := conceptsOf(t, "appointmentType"); len(one) > 0 {
		s.AppointmentType = &one[0]
	}
	s.Portal = rapid.SampledFrom([]*scheduling.Portal{
		nil, {URL: "https://book.example/?slot=1&x=ä"}, {Phone: "555-1000"}, {URL: "https://book.example/2", Phone: "555-1000"},
	}).Draw(t, "portal")
	if rapid.Bool().Draw(t, "proposed") {
		s.Appointment = id.Draw(t, "appointment")
	}
	return s
}

func TestEveryWindowReadsAsItWasWritten(t *testing.T) {
	t.Parallel()
	d := newDecoder()
	rapid.Check(t, func(t *rapid.T) {
		key := scheduling.WindowKey{Schedule: "s", Day: scheduling.Day(rapid.Int32Range(-800_000, 2_900_000).Draw(t, "day"))}
		unit := rapid.SampledFrom([]time.Duration{time.Minute, time.Second, time.Nanosecond}).Draw(t, "unit")
		slots := make([]scheduling.Slot, rapid.IntRange(1, 8).Draw(t, "n"))
		for i := range slots {
			slots[i] = slotOf(t, key, unit)
		}
		want := scheduling.Window{Key: key, Slots: slots, Fetch: rapid.Uint64().Draw(t, "fetch"), Changed: dayStart(key.Day)}
		want.Checked = want.Changed
		got, err := d.decode(key, string(encodeWindow(want.Fetch, want.Changed, encodeSlots(key.Day, slots))))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// typical is a day of one schedule as real servers have it.
func typical(id func(i int) string) []scheduling.Slot {
	slots := make([]scheduling.Slot, 18)
	for i := range slots {
		start := dayStart(20_000).Add(15*time.Hour + time.Duration(i)*20*time.Minute)
		slots[i] = scheduling.Slot{
			ID: id(i), Schedule: "s", Status: scheduling.SlotFree, Start: start, End: start.Add(20 * time.Minute),
			Specialty: []scheduling.Concept{{Codings: []scheduling.Coding{{System: "http://snomed.info/sct", Code: "394814009", Display: "General practice"}}}},
		}
	}
	return slots
}

func TestATypicalWindowIsSmall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id    func(i int) string
		bytes int
	}{
		"numbers": {func(i int) string { return fmt.Sprint(8_812_345 + 7*i) }, 16},
		"UUIDs":   {func(i int) string { return fmt.Sprintf("%08x-1111-4222-8333-%012x", i*7919, i*104729) }, 26},
	} {
		slots := typical(c.id)
		size := len(encodeWindow(1_700_000_000_000, time.Unix(0, 0), encodeSlots(20_000, slots)))
		if got := size / len(slots); got > c.bytes {
			t.Errorf("%s: %d bytes a slot, want at most %d", name, got, c.bytes)
		}
	}
}

func TestDamageIsFoundAtEveryByte(t *testing.T) {
	t.Parallel()
	whole := string(encodeWindow(7, time.Unix(0, 0), encodeSlots(20_000, typical(func(i int) string { return fmt.Sprint(i) }))))
	for n := range len(whole) {
		if _, err := newDecoder().decode(scheduling.WindowKey{}, whole[:n]); err == nil {
			t.Fatalf("the first %d bytes of %d pass for a window", n, len(whole))
		}
	}
	if _, err := newDecoder().decode(scheduling.WindowKey{}, whole+"x"); err == nil {
		t.Fatal("a byte too many passes")
	}
}

// Not parallel: it looks at what the process allocates.
func TestHugeCountsAskForNoMemory(t *testing.T) {
	for _, count := range []uint64{1 << 20, 1 << 62} {
		huge := string(binary.AppendUvarint(nil, count))
		for _, data := range []string{
			"\x01\x01\x01" + huge, "\x01\x01\x01\x04" + huge, "\x01\x01\x01\x05\x00" + huge,
			"\x01\x01\x01\x02\x00\x00" + huge, "\x01\x01\x01\x02\x00\x00\x05\x00\x00" + huge,
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := newDecoder().decode(scheduling.WindowKey{}, data)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("%q passes for a window", data)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<19 {
				t.Errorf("%q: %d bytes allocated", data, got)
			}
		}
	}
}

func FuzzWindow(f *testing.F) {
	for _, id := range []func(int) string{
		func(i int) string { return fmt.Sprint("slot", i) },
		func(i int) string { return fmt.Sprintf("%08x-1111-4222-8333-%012x", i, i) },
	} {
		slots := typical(id)
		slots[3].Appointment, slots[4].Virtual = "a1", true
		slots[5].Start = slots[5].Start.Add(time.Second)
		f.Add(encodeWindow(9, time.Unix(1, 0), encodeSlots(20_000, slots)))
	}
	f.Add([]byte{1, 1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		key := scheduling.WindowKey{Schedule: "s", Day: 20_000}
		w, err := newDecoder().decode(key, string(data))
		if err != nil {
			return
		}
		again, err := newDecoder().decode(key, string(encodeWindow(w.Fetch, w.Changed, encodeSlots(key.Day, w.Slots))))
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if diff := cmp.Diff(w, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add(packKeys([]op{{key: scheduling.WindowKey{Schedule: "a", Day: 3}}, {key: scheduling.WindowKey{Schedule: "b", Day: -3}}}))
	f.Add(packTexts([]string{"Practitioner/1", ""}))
	f.Fuzz(func(t *testing.T, data string) {
		if keys, err := readKeys(data); err == nil && len(keys) > len(data) {
			t.Fatalf("%d keys from %d bytes", len(keys), len(data))
		}
		if texts, err := readTextList(data); err == nil && packTexts(texts) != data && len(texts) > len(data) {
			t.Fatalf("%d texts from %d bytes", len(texts), len(data))
		}
	})
}

func TestNamesOfWindowsReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) scheduling.WindowKey {
			return scheduling.WindowKey{Schedule: rapid.StringN(0, 8, 40).Draw(t, "s"), Day: scheduling.Day(rapid.Int32Range(-3, 3).Draw(t, "d"))}
		}), func(k scheduling.WindowKey) scheduling.WindowKey { return k }).Draw(t, "keys")
		ops := make([]op, len(keys))
		for i, k := range keys {
			ops[i].key = k
		}
		got, err := readKeys(packKeys(ops))
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(keys, compareKeys)
		slices.SortFunc(got, compareKeys)
		if len(keys) != len(got) || !slices.Equal(keys, got) {
			t.Fatalf("want %v, got %v", keys, got)
		}
	})
}

func TestALaterCheckMakesOnlyWhatItCoversSuperfluous(t *testing.T) {
	t.Parallel()
	scope := func(from, to scheduling.Day, schedules ...string) check {
		return newCheck(scheduling.Scope{Days: scheduling.Days{From: from, To: to}, Schedules: schedules}, 1, time.Unix(0, 0))
	}
	for name, c := range map[string]struct {
		small, large check
		want         bool
	}{
		"the same":                          {scope(1, 3), scope(1, 3), true},
		"fewer days":                        {scope(1, 2), scope(1, 3), true},
		"more days":                         {scope(1, 4), scope(1, 3), false},
		"earlier days that were dropped":    {scope(0, 3).since(1), scope(1, 3), true},
		"earlier days that are kept":        {scope(0, 3), scope(1, 3), false},
		"some schedules in all":             {scope(1, 3, "a"), scope(1, 3), true},
		"all schedules in some":             {scope(1, 3), scope(1, 3, "a"), false},
		"some in more, whatever the order":  {scope(1, 3, "b", "a"), scope(1, 3, "c", "b", "a"), true},
		"some in others":                    {scope(1, 3, "a", "d"), scope(1, 3, "c", "b", "a"), false},
		"the same schedules, named twice":   {scope(1, 3, "a", "a"), scope(1, 3, "a"), true},
		"a schedule that begins like other": {scope(1, 3, "ab"), scope(1, 3, "a"), false},
	} {
		if got := c.small.within(c.large); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestEveryKeyAScriptTouchesLiesUnderOneTag(t *testing.T) {
	t.Parallel()
	k := keys{"slotgate"}.source("napa")
	for _, key := range []string{
		k.meta(), k.days(), k.checks(), k.stands(), k.directory(), k.dirheads(), k.status(), k.generations(), k.feed(), k.lease(),
		k.windows(20_000), k.heads(-1),
	} {
		open, end := strings.IndexByte(key, '{'), strings.IndexByte(key, '}')
		if open < 0 || end < open || key[open:end+1] != "{s:napa}" {
			t.Errorf("%s is not under the tag {s:napa}", key)
		}
	}
}
