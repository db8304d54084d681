package prefetch

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slotgate/scheduling"
)

func TestParseCronFencesTheTraps(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]error{
		"@every 1m":               nil,
		"  @every 90s ":           nil,
		"@every 1s":               nil,
		"@hourly":                 nil,
		"@daily":                  nil,
		"*/5 * * * *":             nil,
		"30 */5 * * * *":          nil,
		"* * * * * *":             nil,
		"0 0 29 2 *":              nil,
		"0 3 * * MON-FRI":         nil,
		"":                        errCronText,
		"   ":                     errCronText,
		"TZ=0":                    errCronZone, // the library panics
		"CRON_TZ=UTC":             errCronZone, // the library panics
		"TZ=UTC 0 0 * * *":        errCronZone,
		" CRON_TZ=UTC 0 0 * * *":  errCronZone,
		"tz=UTC 0 0 * * *":        errCronZone,
		"0 0 31 2 *":              errCronNever,
		"0 0 30 2 *":              errCronNever,
		"0 0 31 4,6,9,11 *":       errCronNever,
		"@every 100ms":            errCronFrequent, // the library takes a second
		"@every 0s":               errCronFrequent,
		"@every -1m":              errCronFrequent,
		"@every 1.5s":             errCronFrequent, // the library takes a second
		"@every":                  errCronText,
		"@every soon":             errCronText,
		"@every 1":                errCronText,
		"@reboot":                 errCronText,
		"* * * *":                 errCronText,
		"* * * * * * *":           errCronText,
		"60 * * * *":              errCronText,
		"*/0 * * * *":             errCronText,
		"a b c d e":               errCronText,
		"\x00":                    errCronText,
		strings.Repeat("*", 1000): errCronText,
		"0 0 * * *" + strings.Repeat(" ", 300) + "*": errCronText,
	} {
		_, err := ParseCron(spec)
		if !errors.Is(err, want) {
			t.Errorf("%q: error %v, want %v", spec, err, want)
		}
	}
}

func TestCronComputesInUTCWhateverTheServersZone(t *testing.T) {
	t.Parallel()
	schedule, err := ParseCron("30 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	zone := time.FixedZone("server", -7*3600)
	// 2:30 does not exist in Los Angeles on this day; in UTC it does.
	got := schedule.Next(time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC).In(zone))
	if want := time.Date(2026, 3, 8, 2, 30, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("next is %v, want %v", got, want)
	}
}

func TestCronOfLeapDaysGoesOnOverTheCenturyWithoutOne(t *testing.T) {
	t.Parallel()
	schedule, err := ParseCron("0 0 29 2 *")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2096, 3, 1, 0, 0, 0, 0, time.UTC)
	if next := schedule.Next(at); !next.After(at) {
		t.Errorf("next is %v, want something after %v", next, at)
	}
}

func FuzzParseCron(f *testing.F) {
	for _, seed := range []string{"@every 1m", "TZ=0", "CRON_TZ=", "0 0 31 2 *", "*/5 * * * * *", "1-59/99999999999 * * * *", "@every 9223372036854775807ns", "? ? ? ? ?", ",,, - / *"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		schedule, err := ParseCron(spec)
		if err != nil {
			return
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for range 3 {
			next := schedule.Next(at)
			if next.Sub(at) < time.Second {
				t.Fatalf("%q: after %v comes %v", spec, at, next)
			}
			at = next
		}
	})
}

func TestOptionsDefaultsAreValid(t *testing.T) {
	t.Parallel()
	var o Options
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	if o.Horizon != 60 || o.Cron != "@every 1m" || o.Retry.Max != 30*time.Second {
		t.Errorf("defaults: %+v", o)
	}
	o = Options{Source: scheduling.Source{Horizon: 90}}
	o.SetDefaults()
	if o.Horizon != 90 {
		t.Errorf("horizon %d, want the source's 90", o.Horizon)
	}
}

func TestOptionsThatCannotWorkAreRefusedByKey(t *testing.T) {
	t.Parallel()
	for key, spoil := range map[string]func(*Options){
		"cron":              func(o *Options) { o.Cron = "0 0 31 2 *" },
		"horizon":           func(o *Options) { o.Horizon = -1 },
		"near_days":         func(o *Options) { o.NearDays = -1 },
		"middle_days":       func(o *Options) { o.MiddleDays = 1 },
		"middle_every":      func(o *Options) { o.MiddleEvery = -5 },
		"far_every":         func(o *Options) { o.FarEvery = 2 },
		"days_per_scope":    func(o *Options) { o.DaysPerScope = -1 },
		"max_fetches":       func(o *Options) { o.MaxFetches = -1 },
		"max_hopeless":      func(o *Options) { o.MaxHopeless = -1 },
		"directory_every":   func(o *Options) { o.DirectoryEvery = 1 },
		"fetch_timeout":     func(o *Options) { o.FetchTimeout = -1 },
		"directory_timeout": func(o *Options) { o.DirectoryTimeout = -1 },
		"store_timeout":     func(o *Options) { o.StoreTimeout = -1 },
		"grace":             func(o *Options) { o.Grace = -1 },
		"lease_ttl":         func(o *Options) { o.LeaseTTL = time.Millisecond },
		"emptied_share":     func(o *Options) { o.EmptiedShare = 1.5 },
		"emptied_floor":     func(o *Options) { o.EmptiedFloor = -1 },
		"retry.first":       func(o *Options) { o.Retry.First = -1 },
		"retry.multiplier":  func(o *Options) { o.Retry.Multiplier = 0.5 },
		"retry.max":         func(o *Options) { o.Retry.Max = 1 },
		"retry.jitter":      func(o *Options) { o.Retry.Jitter = 1 },
		"retry.young":       func(o *Options) { o.Retry.Young = -1 },
		"retry.old_max":     func(o *Options) { o.Retry.OldMax = -1 },
		"retry.after_max":   func(o *Options) { o.Retry.AfterMax = -1 },
	} {
		var o Options
		o.SetDefaults()
		spoil(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+": ") {
			t.Errorf("%s: error %v", key, err)
		}
	}
}

func TestDayCountReadsDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"60d": 60, "60": 60, "0d": 0, "-1d": -1} {
		var d DayCount
		if err := d.UnmarshalText([]byte(text)); err != nil || int(d) != want {
			t.Errorf("%q: %d, %v, want %d", text, d, err, want)
		}
	}
	for _, text := range []string{"", "d", "60h", "6 0d", "1e3d", "99999999999999999999d", "60dd"} {
		var d DayCount
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken as %d", text, d)
		}
	}
}

func TestRetryDoublesToItsCapAndThenToTheCrons(t *testing.T) {
	t.Parallel()
	var opts Retry
	opts.SetDefaults()
	r := newRetry(opts)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	even := func() float64 { return 0.5 }
	var got []time.Duration
	for now.Sub(r.since) < 10*time.Minute || r.failures == 0 {
		got = append(got, r.fail(now, 5*time.Minute, 0, even))
		now = r.notBefore
	}
	if s := fmt.Sprint(got[:7]); s != "[1s 2s 4s 8s 16s 30s 30s]" {
		t.Errorf("young delays %s", s)
	}
	for range 10 {
		now = now.Add(r.fail(now, 5*time.Minute, 0, even))
	}
	if d := r.fail(now, 5*time.Minute, 0, even); d != 5*time.Minute {
		t.Errorf("an old failure is tried again after %v, want the cron's 5m", d)
	}
	r.clear()
	if d := r.fail(now, 5*time.Minute, 0, even); d != time.Second {
		t.Errorf("after a success the first delay is %v, want 1s", d)
	}
	if d := r.fail(now, 5*time.Minute, 844*time.Second, even); d != 844*time.Second {
		t.Errorf("the source asked for 844s and is tried after %v", d)
	}
	if d := r.fail(now, 5*time.Minute, 1000*time.Hour, even); d != opts.AfterMax {
		t.Errorf("the source asked for 1000h and is tried after %v, want the cap", d)
	}
}

func TestRetryDelaysAreBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var opts Retry
		opts.SetDefaults()
		r := newRetry(opts)
		now := time.Unix(rapid.Int64Range(0, 1e9).Draw(t, "now"), 0)
		every := time.Duration(rapid.Int64Range(int64(time.Second), int64(1000*time.Hour)).Draw(t, "every"))
		for range rapid.IntRange(1, 200).Draw(t, "failures") {
			after := time.Duration(rapid.Int64().Draw(t, "after"))
			jitter := rapid.Float64Range(0, 0.999).Draw(t, "jitter")
			d := r.fail(now, every, after, func() float64 { return jitter })
			if d < 800*time.Millisecond || d > opts.OldMax || now.Sub(r.since) < opts.Young && d > max(opts.Max, min(after, opts.AfterMax)) {
				t.Fatalf("delay %v", d)
			}
			if r.notBefore != now.Add(d) || !r.waits(now) || r.waits(r.notBefore) {
				t.Fatal("notBefore does not agree with the delay")
			}
			now = r.notBefore
		}
	})
}

func TestPlanCoversEveryDayOnceNearestFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := Options{
			Horizon:      DayCount(rapid.IntRange(1, 200).Draw(t, "horizon")),
			NearDays:     DayCount(rapid.IntRange(1, 10).Draw(t, "near")),
			MiddleDays:   DayCount(rapid.IntRange(10, 40).Draw(t, "middle")),
			DaysPerScope: DayCount(rapid.IntRange(1, 30).Draw(t, "step")),
		}
		o.SetDefaults()
		p := newPlan(o)
		next := scheduling.Day(0)
		for _, it := range p.parts {
			if it.days.From != next || it.days.Len() < 1 || it.days.Len() > int(o.DaysPerScope) {
				t.Fatalf("part %v after day %d", it.days, next)
			}
			if it.phase < 1 || it.phase > it.every {
				t.Fatalf("part %v comes after %d ticks, of %d", it.days, it.phase, it.every)
			}
			next = it.days.To
		}
		if int(next) != int(o.Horizon)+1 {
			t.Fatalf("the plan ends with day %d, horizon %d", next, o.Horizon)
		}
	})
}

func TestPlanStarvesNoPart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Horizon: DayCount(rapid.IntRange(1, 90).Draw(t, "horizon"))}
		o.SetDefaults()
		p := newPlan(o)
		now := time.Unix(1e9, 0)
		p.directory.at = now.Add(time.Hour)
		asked := map[*item]int{}
		// A slow source: of two ticks only one finds it idle.
		for range 400 {
			p.tick += rapid.Uint64Range(0, 1).Draw(t, "ticks")
			if it := p.pick(now); it != nil {
				asked[it]++
				p.done(it, rapid.Bool().Draw(t, "complete"))
			}
		}
		for _, it := range p.parts {
			if asked[it] == 0 {
				t.Fatalf("part %v was never asked for", it.days)
			}
		}
	})
}

// TestReadingEndsAndLosesNoScope plays a source that cuts at random, and checks
// that what was read and what stays unread are together what was asked, with no
// window twice.
func TestReadingEndsAndLosesNoScope(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		days := scheduling.Days{From: 100, To: 100 + scheduling.Day(rapid.IntRange(1, 9).Draw(t, "days"))}
		var names []string
		for i := range rapid.IntRange(0, 6).Draw(t, "schedules") {
			names = append(names, fmt.Sprint("s", i))
		}
		known := func() []string { return names }
		r := newReading(scheduling.Scope{Days: days}, rapid.IntRange(1, 5).Draw(t, "patience"))
		covered := map[scheduling.WindowKey]int{}
		cover := func(scope scheduling.Scope) {
			for day := scope.Days.From; day < scope.Days.To; day++ {
				for _, name := range append([]string{"unknown"}, names...) {
					key := scheduling.WindowKey{Schedule: name, Day: day}
					if scope.Covers(key) {
						covered[key]++
					}
				}
			}
		}
		steps := 0
		for !r.over() {
			if steps++; steps > 1000 {
				t.Fatal("the reading does not end")
			}
			scope := r.rest[0]
			switch rapid.SampledFrom([]string{"complete", "cut", "cut", "failed", "slow"}).Draw(t, "answer") {
			case "complete":
				cover(scope)
				r.took(scheduling.Fetched{}, 0)
			case "cut":
				before := r.cuts
				r.cut(scheduling.Fetched{}, known)
				if r.cuts > before {
					cover(scope)
				}
			case "failed":
				r.postpone(false)
			case "slow":
				r.postpone(true)
			}
		}
		for day := days.From; day < days.To; day++ {
			for _, name := range names {
				if n := covered[scheduling.WindowKey{Schedule: name, Day: day}]; n != 1 {
					t.Fatalf("%s on %s was covered %d times", name, day, n)
				}
			}
		}
	})
}

func TestInboxKeepsOneOfWhatIsAskedForOften(t *testing.T) {
	t.Parallel()
	days := func(from, to scheduling.Day, schedules ...string) scheduling.Scope {
		return scheduling.Scope{Days: scheduling.Days{From: from, To: to}, Schedules: schedules}
	}
	for _, test := range []struct {
		name string
		in   []scheduling.Scope
		want []scheduling.Scope
	}{
		{"the same twice", []scheduling.Scope{days(1, 2), days(1, 2)}, []scheduling.Scope{days(1, 2)}},
		{"a part of what waits", []scheduling.Scope{days(1, 5), days(2, 3, "s")}, []scheduling.Scope{days(1, 5)}},
		{"more than what waits", []scheduling.Scope{days(2, 3, "s"), days(1, 5)}, []scheduling.Scope{days(1, 5)}},
		{"all schedules after one", []scheduling.Scope{days(1, 2, "s"), days(1, 2)}, []scheduling.Scope{days(1, 2)}},
		{"others", []scheduling.Scope{days(1, 2, "s"), days(1, 2, "r")}, []scheduling.Scope{days(1, 2, "s"), days(1, 2, "r")}},
	} {
		b := newInbox()
		for _, scope := range test.in {
			b.trigger(scope)
		}
		got, _ := b.take()
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: %v waits, want %v", test.name, got, test.want)
		}
	}
	b := newInbox()
	for i := range scheduling.Day(1000) {
		b.trigger(days(2*i, 2*i+1))
	}
	got, _ := b.take()
	if len(got) > maxTriggers+1 {
		t.Errorf("%d scopes wait", len(got))
	}
	if all := hull(got).Days; all.From != 0 || all.To != 1999 {
		t.Errorf("the scopes that wait cover %v", all)
	}
}
