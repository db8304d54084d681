package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// What make bench runs for minutes is run here for seconds, so that it works when
// it is wanted.
func TestARegionOfEveryDialectIsLoadedWholeAndRefreshed(t *testing.T) {
	t.Parallel()
	r := regionRun{TB: t, tell: io.Discard, scale: regionScale{
		Sources: len(regionKinds), Slots: 120, Tick: time.Second, Minutes: 2, PerHour: 30, Rate: 1, Seed: 1,
	}}
	r.run()
	load, refresh := r.phases[0], r.phases[1]
	if load.ehrs.Slots < int64(r.scale.Sources*r.scale.Slots) || load.redis.writes == 0 || load.cpu <= 0 {
		t.Errorf("the load was not measured: %+v", load)
	}
	if refresh.changed == 0 || refresh.ehrs.Answers == 0 || len(refresh.age[0]) == 0 || len(refresh.age[2]) == 0 {
		t.Errorf("the refresh was not measured: %+v", refresh)
	}
	for _, want := range []string{"slots/s decoded", "staleness when asked, near", "writes to Redis"} {
		if !strings.Contains(r.table(), want) {
			t.Errorf("the table does not tell %q:\n%s", want, r.table())
		}
	}
	for read := xml.NewDecoder(strings.NewReader(r.plot())); ; {
		if _, err := read.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
	}
}

func TestATableIsPutBetweenItsMarksAndNowhereElse(t *testing.T) {
	t.Parallel()
	page, err := between([]byte("a\n<from>\nold\n<to>\nb\n"), "<from>", "<to>", "new\n")
	if want := "a\n<from>\nnew\n<to>\nb\n"; err != nil || string(page) != want {
		t.Errorf("%q, %v; want %q", page, err, want)
	}
	if _, err := between([]byte("a\n<to>\nb\n<from>\n"), "<from>", "<to>", "new\n"); err == nil {
		t.Error("a page whose marks are in the wrong order was changed")
	}
}
