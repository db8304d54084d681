package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// keptListener is a listening socket that outlives the servers on it: when the
// configuration is read again, the next server takes over while connections
// wait in the socket's queue, and none is refused.
type keptListener struct{ tcp *net.TCPListener }

func listen(ctx context.Context, address string) (*keptListener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, errors.New("listen: not a TCP socket")
	}
	return &keptListener{tcp}, nil
}

// url is the address as a caller on this machine would write it.
func (k *keptListener) url() string { return "http://" + k.tcp.Addr().String() }

// lend gives a listener whose Close leaves the socket open.
func (k *keptListener) lend() net.Listener { return &lentListener{kept: k} }

func (k *keptListener) close() { _ = k.tcp.Close() }

type lentListener struct {
	kept   *keptListener
	closed atomic.Bool
}

// Accept waits for a connection until this listener is closed. A deadline wakes
// every waiter of the socket; those who were not meant wait on.
func (l *lentListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.kept.tcp.Accept()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
		if l.closed.Load() {
			return nil, net.ErrClosed
		}
		_ = l.kept.tcp.SetDeadline(time.Time{})
	}
}

// Close ends Accept of this listener alone.
func (l *lentListener) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	return l.kept.tcp.SetDeadline(time.Unix(1, 0))
}

func (l *lentListener) Addr() net.Addr { return l.kept.tcp.Addr() }
