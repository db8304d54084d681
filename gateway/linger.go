package gateway

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
)

// A body that is too large is refused before it has arrived. To close the
// connection then would have the client's system answer its next bytes with a
// reset, and throw away our answer, which it has not read yet: it would see a
// broken connection in place of a 413. So we read on for a while, and drop what
// comes (RFC 9112, 9.6).
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 32 << 20
)

// lingering is a listener whose connections can be closed in that way.
type lingering struct{ net.Listener }

// Accept waits for a connection.
func (l lingering) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
		return &lingeringConn{TCPConn: tcp}, nil
	}
	return conn, err
}

type lingeringConn struct {
	*net.TCPConn
	unread atomic.Bool // the client is still sending
}

// Close closes the connection; where the client is still sending, after it has
// stopped or has sent enough.
func (c *lingeringConn) Close() error {
	if c.unread.Swap(false) {
		_ = c.CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.TCPConn, lingerBytes)
	}
	return c.TCPConn.Close()
}

// linger has the rest of the request read and dropped.
func linger(c *fiber.Ctx) {
	if conn, ok := c.Context().Conn().(*lingeringConn); ok {
		conn.unread.Store(true)
	}
}
