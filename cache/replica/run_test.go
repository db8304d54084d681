package replica

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"slotgate/scheduling"
)

// channelFeed is a feed that tests steer: it tells of each Follow and stays
// until its context ends or it is given an error.
type channelFeed struct {
	followed chan []scheduling.SourceID
	fail     chan error
	sink     chan Sink
}

func newChannelFeed() *channelFeed {
	return &channelFeed{make(chan []scheduling.SourceID), make(chan error), make(chan Sink)}
}

func (f *channelFeed) Follow(ctx context.Context, sources []scheduling.SourceID, sink Sink) error {
	select {
	case f.followed <- sources:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		select {
		case err := <-f.fail:
			return err
		case f.sink <- sink:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func running(t *testing.T, r *Replica, feed Feed) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, feed) }()
	return func() error {
		cancel()
		return <-done
	}
}

func TestRunFollowsAnewWhenTheSourcesChange(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	r, a, snap := loaded(t)
	feed := newChannelFeed()
	stop := running(t, r, feed)
	if ids := <-feed.followed; !slices.Equal(ids, []scheduling.SourceID{"a"}) {
		t.Fatalf("follows %v", ids)
	}
	(<-feed.sink).Load("a", snap)

	b, _ := clinic(t, "b")
	a.Name = "Another name"
	r.SetSources([]scheduling.Source{b, a})
	if ids := <-feed.followed; !slices.Equal(ids, []scheduling.SourceID{"a", "b"}) {
		t.Fatalf("follows %v", ids)
	}
	found := find(t, r, scheduling.Query{})
	if found.Total != 4 || found.Sources[0].Name != "Another name" || len(found.Sources) != 2 {
		t.Errorf("what was known of a is lost: %+v", found)
	}

	r.SetSources([]scheduling.Source{b})
	<-feed.followed
	(<-feed.sink).Apply("a", scheduling.Change{}) // late news of a source that is gone
	if found := find(t, r, scheduling.Query{}); found.Total != 0 || len(found.Sources) != 1 {
		t.Errorf("a is still there: %+v", found)
	}
	r.SetSources([]scheduling.Source{b}) // the same ones: nothing to follow anew
	(<-feed.sink).Load("b", scheduling.Snapshot{})
	if err := stop(); err != nil {
		t.Errorf("the end of the context is not an error: %v", err)
	}
}

func TestRunGivesTheFeedsError(t *testing.T) {
	t.Parallel()
	r, _, _ := loaded(t)
	feed := newChannelFeed()
	broken := errors.New("broken")
	for _, err := range []error{broken, nil} {
		done := make(chan error, 1)
		go func() { done <- r.Run(t.Context(), feed) }()
		<-feed.followed
		feed.fail <- err
		got := <-done
		if err != nil && !errors.Is(got, broken) || got == nil {
			t.Errorf("got %v of %v", got, err)
		}
	}
}

func TestAnotherZoneInTheConfigurationMovesTheDays(t *testing.T) {
	t.Parallel()
	r, source, _ := loaded(t)
	day := scheduling.DayBound(scheduling.Date(2026, 11, 2))
	if found := find(t, r, scheduling.Query{Start: day}); found.Total != 0 {
		t.Fatalf("total %d", found.Total)
	}
	source.Zone = zone(t, "Asia/Tokyo") // 09:00 in New York is 23:00 there, and 10:00 the next day
	r.SetSources([]scheduling.Source{source})
	if found := find(t, r, scheduling.Query{Start: day}); found.Total != 2 {
		t.Errorf("total %d, want the two slots after midnight in Tokyo", found.Total)
	}
}

func TestReadersSeeEachChangeWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	r, source, snap := loaded(t)
	today := scheduling.Date(2026, 11, 2)
	// Each change swaps two windows and the directory at once: the slots' ids,
	// in both windows, and the practitioner's name tell the same number.
	change := func(version byte) scheduling.Change {
		dir := scheduling.NewDirectory()
		dir.Merge(snap.Directory)
		who := *dir.Practitioners["who"]
		who.Name.Family = string(version)
		dir.Practitioners["who"] = &who
		var slots []scheduling.Slot
		for day := range scheduling.Day(2) {
			slots = append(slots, slotsOn("sched", string(version)+today.String()+string(rune('a'+day)), (today+day).Start(source.Zone).Add(9*time.Hour), 3)...)
		}
		return scheduling.Change{Directory: &dir, Windows: append(windowsOf(slots, source.Zone, 2, noon),
			scheduling.Window{Key: snap.Windows[0].Key, Fetch: 2, Checked: noon})}
	}
	r.Apply("a", change('0'))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				found, err := r.Find(scheduling.Query{Count: 10, Specialty: []scheduling.Token{{Code: "394582007"}}})
				if err != nil || found.Total != 6 || len(found.Offers) != 6 {
					t.Errorf("total %d, %d offers, %v", found.Total, len(found.Offers), err)
					return
				}
				version := found.Offers[0].Setting.Practitioners[0].Name.Family
				for _, offer := range found.Offers {
					if offer.Slots[0].ID[:1] != version || offer.Setting.Practitioners[0].Name.Family != version {
						t.Errorf("half a change: slot %s, practitioner %s", offer.Slots[0].ID, version)
						return
					}
					r.Offer(offer.ID)
				}
				if slots, err := r.Search(scheduling.Search{Kind: scheduling.KindSlot, Count: 3}); err != nil || slots.Total != 6 {
					t.Errorf("search: %d slots, %v", slots.Total, err)
					return
				}
				r.Sources()
				r.Ready()
			}
		})
	}
	for i := range 300 {
		r.Apply("a", change(byte('0'+i%10)))
		if i%50 == 49 {
			r.Load("a", r.table.Load().byID["a"].snapshot())
			r.SetSources([]scheduling.Source{source})
		}
	}
	close(stop)
	readers.Wait()
}

func TestMetricsTellOfEachSource(t *testing.T) {
	t.Parallel()
	source, dir := clinic(t, "a")
	registry := prometheus.NewPedanticRegistry()
	opts := Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return noon }, Registerer: registry}
	r := New(opts)
	slots := slotsOn("sched", "s", noon.Add(24*time.Hour), 3)
	r.Load("a", scheduling.Snapshot{Loaded: true, Directory: dir, Status: fine("a", noon), Windows: windowsOf(slots, source.Zone, 1, noon)})
	find(t, r, scheduling.Query{})
	New(opts) // a second one on the same registry is told of, not fatal
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		m := family.GetMetric()[0]
		values[family.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	for name, want := range map[string]float64{
		"slotgate_replica_open_slots": 3, "slotgate_replica_windows": 1, "slotgate_replica_incomplete": 0,
		"slotgate_replica_loads_total": 1, "slotgate_replica_find_seconds": 1,
		"slotgate_replica_last_sync_timestamp_seconds": float64(noon.Unix()),
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s is %v (there: %v), want %v", name, got, ok, want)
		}
	}
}

func TestOptionsNameTheirFaults(t *testing.T) {
	t.Parallel()
	for name, sources := range map[string][]scheduling.Source{
		"no source": nil, "no id": {{}}, "one id twice": {{ID: "a"}, {ID: "a"}},
	} {
		if err := (Options{Sources: sources}).Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
