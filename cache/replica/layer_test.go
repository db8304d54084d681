package replica

import (
	"context"
	"testing"
	"time"

	"slotgate/scheduling"
)

// feedOf hands over a snapshot whenever it is followed.
type feedOf struct {
	snap     scheduling.Snapshot
	followed chan struct{}
}

func (f *feedOf) Follow(ctx context.Context, sources []scheduling.SourceID, sink Sink) error {
	for _, id := range sources {
		sink.Load(id, f.snap)
	}
	f.followed <- struct{}{}
	<-ctx.Done()
	return nil
}

// TestSlotsThatMayNotBeKeptAreNotKept: whatever the feed brings, and from the
// moment on at which that is forbidden. Where it is allowed again they come back.
func TestSlotsThatMayNotBeKeptAreNotKept(t *testing.T) {
	t.Parallel()
	source, dir := clinic(t, "napa")
	slots := slotsOn("sched", "s", noon.Add(time.Hour), 4)
	feed := &feedOf{followed: make(chan struct{}), snap: scheduling.Snapshot{
		Loaded: true, Directory: dir, Windows: windowsOf(slots, source.Zone, 1, noon), Status: fine("napa", noon),
	}}
	r := New(Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return noon }})
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, feed) }()
	defer func() {
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	found := func(in *Replica) scheduling.Found {
		f, err := in.Find(scheduling.Query{Count: 10})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	<-feed.followed
	offer := scheduling.OfferID("napa", 0, "s-0")
	if f := found(r); f.Total != 4 || !f.Complete() || f.Sources[0].Asked != "" {
		t.Fatalf("kept: %d %+v", f.Total, f.Sources)
	}
	source.Live = true
	r.SetSources([]scheduling.Source{source})
	<-feed.followed
	r.Apply("napa", scheduling.Change{Windows: feed.snap.Windows, Check: &scheduling.Check{At: noon, Fetch: 2, Scope: scheduling.Scope{Days: scheduling.Days{From: 0, To: 1 << 20}}}})
	if f := found(r); f.Total != 0 || f.Complete() || f.Sources[0].Asked != scheduling.Unasked || f.Sources[0].State != scheduling.StateOK {
		t.Errorf("kept nowhere: %d %+v", f.Total, f.Sources)
	}
	if _, ok := r.Offer(offer); ok {
		t.Error("an offer is kept")
	}
	if _, ok := r.Read(scheduling.KindPractitioner, scheduling.ResourceID("napa", scheduling.KindPractitioner, "who")); !ok {
		t.Error("who is there is not known")
	}
	answer := scheduling.Answer{Source: "napa", Asked: scheduling.Answered, At: noon, Status: fine("napa", noon)}
	answer.Fetched.Windows = scheduling.Windows(slots, func(string) *time.Location { return source.Zone })
	layer := r.Layer(answer)
	if f := found(r.With(layer)); f.Total != 4 || !f.Complete() || f.Offers[0].ID != offer {
		t.Errorf("in what it answered: %d %+v", f.Total, f.Sources)
	}
	if f := found(r); f.Total != 0 {
		t.Error("an answer stays")
	}
	if r.Layer(scheduling.Answer{Source: "other"}) != nil {
		t.Error("a source that is not there has a layer")
	}
	source.Live = false
	r.SetSources([]scheduling.Source{source})
	<-feed.followed
	if f := found(r); f.Total != 4 || !f.Complete() {
		t.Errorf("kept again: %d %+v", f.Total, f.Sources)
	}
}
