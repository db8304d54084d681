package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"slotgate/cache/replica"
	"slotgate/cache/vault"
	"slotgate/gateway/ask"
	"slotgate/scheduling"
	"slotgate/upstream"
)

// makeLive joins what asks the sources whose slots are not kept; nothing where
// there are none.
func (s *shift) makeLive() (err error) {
	n := s.node
	live := slices.DeleteFunc(s.file.sources(), func(source scheduling.Source) bool { return !source.Live })
	if !n.role.gateway || len(live) == 0 {
		return nil
	}
	s.live, err = ask.New(s.file.Live, ask.Deps{
		Index: liveIndex{n.replica}, Sources: &liveSources{shift: s, listed: map[scheduling.SourceID]any{}},
		Store: n.store, Leads: n.leads(s.file.trial), Live: live, Life: n.life, Now: time.Now,
		Logger: n.log, Registerer: s.metrics,
	})
	return err
}

// leads keep where ids lead: sealed by the vault, or by a key of this process
// where there is none, since then nothing can be held anyway.
func (n *node) leads(trial bool) ask.Leads {
	if n.keeper != nil {
		return n.store.Leads(n.keeper.vault, trial)
	}
	return n.store.Leads(vault.Ephemeral(), true)
}

// liveIndex is the replica as answers are found in it.
type liveIndex struct{ replica *replica.Replica }

func (x liveIndex) Reach(source scheduling.SourceID, q scheduling.Query) (scheduling.Reach, bool) {
	return x.replica.Reach(source, q)
}

func (x liveIndex) Layer(a scheduling.Answer) ask.Layer {
	if layer := x.replica.Layer(a); layer != nil {
		return layer
	}
	return nil // a typed nil would be a layer
}

func (x liveIndex) With(layers []ask.Layer) ask.View {
	own := make([]*replica.Layer, 0, len(layers))
	for _, l := range layers {
		if layer, ok := l.(*replica.Layer); ok {
			own = append(own, layer)
		}
	}
	return x.replica.With(own...)
}

// liveSources are the clients of one shift. What somebody has read of a source's
// directory is handed on to its client: no find can wait until it has read it
// itself.
type liveSources struct {
	shift *shift

	mu     sync.Mutex
	listed map[scheduling.SourceID]any // versions
}

func (l *liveSources) Find(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (scheduling.Fetched, error) {
	client, err := l.client(source)
	if err != nil {
		return scheduling.Fetched{}, err
	}
	return client.Live(ctx, scope)
}

func (l *liveSources) Again(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (scheduling.Fetched, error) {
	client, err := l.client(source)
	if err != nil {
		return scheduling.Fetched{}, err
	}
	return client.Again(ctx, scope)
}

func (l *liveSources) client(source scheduling.SourceID) (*upstream.Client, error) {
	client, ok := l.shift.registry.Get(source)
	if !ok {
		return nil, scheduling.Fault(scheduling.Internal, nil, "there is no such source")
	}
	dir, version := l.shift.node.replica.Directory(source)
	l.mu.Lock()
	defer l.mu.Unlock()
	if version != nil && l.listed[source] != version {
		client.Listed(dir)
		l.listed[source] = version
	}
	return client, nil
}

// directoryOnly is a client as the prefetch may use it where slots are not kept:
// who and where, and nothing else, whatever it is asked for.
type directoryOnly struct{ client *upstream.Client }

func (d directoryOnly) Directory(ctx context.Context) (scheduling.Directory, scheduling.Tally, error) {
	return d.client.Directory(ctx)
}

func (d directoryOnly) Fetch(_ context.Context, scope scheduling.Scope) (scheduling.Fetched, error) {
	return scheduling.Fetched{Scope: scope}, scheduling.Blame(scheduling.NotSupported, d.client.Source().ID, nil, "slots of this source are not kept")
}

// fresh is how every source is: of those whose slots are not kept, this
// process's own last calls count.
type fresh struct {
	*replica.Replica
	live *ask.Asker
}

func (f fresh) Sources() []scheduling.Freshness {
	all := f.Replica.Sources()
	if f.live == nil {
		return all
	}
	for i := range all {
		if status, ok := f.live.Status(all[i].Source); ok {
			all[i].Status = status
		}
	}
	return all
}
