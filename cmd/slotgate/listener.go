package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// acceptPause keeps a socket that cannot accept just now from eating the CPU.
const acceptPause = 10 * time.Millisecond

// keptListener is a listening socket that outlives the servers on it: when the
// configuration is read again the next server takes over, and no connection is
// refused meanwhile. One goroutine accepts; whoever has borrowed the listener
// last, or still, takes what it accepted.
type keptListener struct {
	socket net.Listener
	conns  chan net.Conn
	done   chan struct{} // closed when the socket is
	err    error         // why it ended; set before done is closed
}

func listen(ctx context.Context, address string) (*keptListener, error) {
	var lc net.ListenConfig
	socket, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	k := &keptListener{socket: socket, conns: make(chan net.Conn), done: make(chan struct{})}
	go k.accept()
	return k, nil
}

// accept ends with the socket. An unbuffered channel hands each connection to
// one who waits for it: none is left with a server that has gone.
func (k *keptListener) accept() {
	defer close(k.done)
	for {
		conn, err := k.socket.Accept()
		switch {
		case err == nil:
			k.conns <- conn
		case errors.Is(err, net.ErrClosed):
			k.err = err
			return
		default: // no file descriptor is free, or the caller has gone already
			time.Sleep(acceptPause)
		}
	}
}

// url is the address as a caller on this machine would write it.
func (k *keptListener) url() string { return "http://" + k.socket.Addr().String() }

// lend gives a listener whose Close leaves the socket open.
func (k *keptListener) lend() net.Listener {
	return &lentListener{kept: k, closed: make(chan struct{})}
}

// close ends the socket. A connection that was accepted and that nobody took
// is closed.
func (k *keptListener) close() {
	_ = k.socket.Close()
	for {
		select {
		case conn := <-k.conns:
			_ = conn.Close()
		case <-k.done:
			return
		}
	}
}

type lentListener struct {
	kept   *keptListener
	once   sync.Once
	closed chan struct{}
}

// Accept waits for a connection until this listener, or the socket, is closed.
func (l *lentListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed: // first: of several that are ready, select takes any
		return nil, net.ErrClosed
	default:
	}
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	case conn := <-l.kept.conns:
		return conn, nil
	case <-l.kept.done:
		return nil, l.kept.err
	}
}

// Close ends Accept of this listener alone.
func (l *lentListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *lentListener) Addr() net.Addr { return l.kept.socket.Addr() }
