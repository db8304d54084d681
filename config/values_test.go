package config_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slotgate/config"
)

func TestDurationsAreWrittenAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "60d": 60 * day, "2w": 14 * day, "1w2d12h": 9*day + 12*time.Hour,
		"1.5d": 36 * time.Hour, "-2d": -2 * day, "-1d1h": -25 * time.Hour, "250ms": 250 * time.Millisecond, "0d": 0,
	} {
		got, err := config.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", text, got, err, want)
		}
	}
}

func TestADurationThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "60", "d", "w", "1 d", "1h1d", "1d-1h", "--1d", "+1d", "1d+1h", "1e3d", "0x1d", "NaNd", "Infd", "1_0d", "ten days", "1y",
		"200000d", "99999999999999999999d", "106000d3000h", "1dd", strings.Repeat("1d", 1000) + "x",
	} {
		got, err := config.ParseDuration(text)
		if err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestADurationReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := config.Duration(rapid.Int64Range(-int64(50_000*24*time.Hour), int64(50_000*24*time.Hour)).Draw(t, "d"))
		if rapid.Bool().Draw(t, "whole days") {
			d -= d % config.Duration(24*time.Hour)
		}
		text, err := d.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back config.Duration
		err = back.UnmarshalText(text)
		if err != nil || back != d {
			t.Fatalf("%s: %v %v, want %v", text, back, err, d)
		}
	})
}

func TestOnlyPlacesAreZones(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"America/Los_Angeles", "Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires", "Asia/Kathmandu"} {
		zone, err := config.LoadZone(name)
		if err != nil || zone.String() != name || zone.IsZero() {
			t.Errorf("%s: %v %v", name, zone, err)
		}
	}
	for _, name := range []string{"", "Local", "EST", "PST8PDT", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "America", "America/", strings.Repeat("x/", 5000)} {
		zone, err := config.LoadZone(name)
		if err == nil || !zone.IsZero() || zone.String() != "" || len(err.Error()) > 300 {
			t.Errorf("%q: %v %v", name, zone, err)
		}
	}
}
