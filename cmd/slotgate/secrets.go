package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// secrets signs cursors. All gateways share one through Redis; while that is
// away one of our own must do, and when it comes back empty the one in use is
// put there again, so that next links outlive both.
type secrets struct {
	mu    sync.Mutex
	known [][]byte // the first signs, all are read
}

const (
	secretName  = "cursors"
	secretEvery = 2 * time.Second
	secretsKept = 4
)

func openSecrets(ctx context.Context, n *node) *secrets {
	ours := make([]byte, 32)
	_, _ = rand.Read(ours) // never fails
	s := &secrets{known: [][]byte{ours}}
	ctx, cancel := context.WithTimeout(ctx, secretEvery)
	defer cancel()
	s.share(ctx, n)
	return s
}

// share puts ours into the store, or takes the one that is there.
func (s *secrets) share(ctx context.Context, n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shared, err := n.store.KeepSecret(ctx, secretName, s.known[0])
	if err != nil || bytes.Equal(shared, s.known[0]) {
		return
	}
	s.known = append([][]byte{shared}, s.known...)
	s.known = s.known[:min(len(s.known), secretsKept)]
}

func (s *secrets) all() (current []byte, older [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[0], s.known[1:]
}

// keep shares again and again until ctx ends.
func (s *secrets) keep(ctx context.Context, n *node) {
	tick := time.NewTicker(secretEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.share(ctx, n)
		n.takeSecrets()
	}
}

// takeSecrets hands them to the gateway of the shift that runs now.
func (n *node) takeSecrets() {
	if server := n.serving.Load(); server != nil {
		current, older := n.secrets.all()
		if err := server.SetSecrets(current, older...); err != nil {
			n.log.Error("the secrets of cursors were not taken", "error", err)
		}
	}
}
