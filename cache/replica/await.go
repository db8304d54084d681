package replica

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// Checked is when the window was last confirmed, by itself or by a complete
// fetch that covered it; zero for never, and for a source that is not there.
func (r *Replica) Checked(source scheduling.SourceID, key scheduling.WindowKey) time.Time {
	e, ok := r.table.Load().byID[source]
	if !ok {
		return time.Time{}
	}
	return instant(e.checked(key))
}

// Await waits until each of the windows was confirmed later than its instant in
// since. Instants are those of the workers' clocks, as Checked gives them: they
// are compared with each other, never with a clock of ours.
//
// Errors: that of ctx.
func (r *Replica) Await(ctx context.Context, source scheduling.SourceID, since map[scheduling.WindowKey]time.Time) error {
	e, ok := r.table.Load().byID[source]
	if !ok {
		return scheduling.Refuse(scheduling.BadRequest, "source", "there is no source of this id")
	}
	for {
		news := e.next() // before the look, or a step between the two is missed
		if e.confirmed(since) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-news:
		}
	}
}

func (e *entry) confirmed(since map[scheduling.WindowKey]time.Time) bool {
	for key, at := range since {
		if e.checked(key) <= nanos(at) {
			return false
		}
	}
	return true
}

// checked is when the window was last confirmed, 0 for never.
func (e *entry) checked(key scheduling.WindowKey) int64 {
	st := e.state.Load()
	at := st.cover.at(key.Day)
	n, ok := st.layout.number(key.Schedule)
	if !ok || n >= st.books.count {
		return at
	}
	b := st.books.at(n)
	at = max(at, b.cover.at(key.Day))
	if w := b.window(key.Day); w != nil {
		at = max(at, w.checked)
	}
	return at
}

// number is where the schedule of this id stands.
func (l *layout) number(id string) (n int, ok bool) {
	for n, p := range l.places {
		if p.id == id {
			return n, true
		}
	}
	return 0, false
}

// next is closed after the next step of the source.
func (e *entry) next() <-chan struct{} {
	for {
		if news := e.news.Load(); news != nil {
			return *news
		}
		news := make(chan struct{})
		if e.news.CompareAndSwap(nil, &news) {
			return news
		}
	}
}

// announce tells those who wait that there was a step.
func (e *entry) announce() {
	if news := e.news.Swap(nil); news != nil {
		close(*news)
	}
}
