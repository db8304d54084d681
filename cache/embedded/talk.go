package embedded

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

var errEnded = errors.New("it ended at once; its own words are in the log")

// awaitPong asks until the server answers PING with PONG. While it reads its
// append-only file it answers with an error.
func awaitPong(ctx context.Context, socket string, ended <-chan struct{}) error {
	var last error
	for {
		if last = ping(ctx, socket); last == nil {
			return nil
		}
		select {
		case <-ended:
			return errEnded
		case <-ctx.Done():
			return errors.Join(ctx.Err(), last)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func ping(ctx context.Context, socket string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(answer[:n], []byte("+PONG")) {
		return errors.New("it is still loading")
	}
	return nil
}

// lines hands what the child writes to the log, line by line.
type lines struct {
	log  *slog.Logger
	mu   sync.Mutex
	rest []byte
}

// maxLine is where a line without an end is cut.
const maxLine = 4 << 10

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			break
		}
		if line := bytes.TrimSpace(l.rest[:i]); len(line) > 0 {
			l.log.Debug("redis-server", "says", string(line))
		}
		l.rest = l.rest[i+1:]
	}
	if len(l.rest) > maxLine {
		l.rest = nil
	}
	return len(p), nil
}
