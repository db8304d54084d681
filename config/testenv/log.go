package testenv

import (
	"bytes"
	"sync"
)

// Log keeps what is written to it, by many at once.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write never fails.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is all that was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
