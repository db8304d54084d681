package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// Options of the listener that callers use.
type Options struct {
	// Listen is the address, host:port.
	Listen string `yaml:"listen"`
	// PublicURL is how callers reach the listener, without a path's last slash;
	// "": http:// and the address that is listened on.
	PublicURL string `yaml:"public_url"`
	Limits    `yaml:"gateway"`
}

// Limits bound what one request may cost.
type Limits struct {
	DefaultCount int `yaml:"default_count"` // matches on a page where none are asked for
	MaxCount     int `yaml:"max_count"`     // matches on a page at most; more is cut, and told
	MaxParams    int `yaml:"max_params"`    // parameters of one request
	BodyLimit    int `yaml:"body_limit"`    // bytes; more is 413
	HeaderLimit  int `yaml:"header_limit"`  // bytes of request line and headers; more is 431

	ReadTimeout    time.Duration `yaml:"read_timeout"`    // of a whole request
	WriteTimeout   time.Duration `yaml:"write_timeout"`   // of a whole answer
	IdleTimeout    time.Duration `yaml:"idle_timeout"`    // between two requests of a connection
	RequestTimeout time.Duration `yaml:"request_timeout"` // of the work on one request
	BookingTimeout time.Duration `yaml:"booking_timeout"` // of one that holds, books, cancels, reads or lists
	CursorTTL      time.Duration `yaml:"cursor_ttl"`      // how long a next link works

	RevalidateTimeout time.Duration `yaml:"revalidate_timeout"` // of looking again at offers that are older than _max-age
	RevalidateWindows int           `yaml:"revalidate_windows"` // schedules on a day that are looked at again for one answer
}

// SetDefaults fills in what works.
func (o *Options) SetDefaults() { o.Listen = "127.0.0.1:8080" }

// SetDefaults fills in what works.
func (l *Limits) SetDefaults() {
	*l = Limits{
		DefaultCount: 20, MaxCount: 1000, MaxParams: 200,
		BodyLimit: 1 << 20, HeaderLimit: 16 << 10,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		RequestTimeout: 15 * time.Second, BookingTimeout: 25 * time.Second, CursorTTL: time.Hour,
		RevalidateTimeout: 2 * time.Second, RevalidateWindows: 8,
	}
}

// DefaultOptions are options with every default.
func DefaultOptions() Options {
	var o Options
	o.SetDefaults()
	o.Limits.SetDefaults()
	return o
}

// Validate checks the addresses. Every error begins with the key.
func (o Options) Validate() error {
	_, port, err := net.SplitHostPort(o.Listen)
	if err != nil || port == "" {
		return errors.New("listen: must be host:port, such as 127.0.0.1:8080")
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("listen: there is no port %s; write one of 1 to 65535, or 0 for any free one", port)
	}
	if o.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(o.PublicURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("public_url: must be an absolute http or https address")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("public_url: must have no user, query or fragment")
	}
	return nil
}

// Validate checks the numbers. Every error begins with the key.
func (l Limits) Validate() error {
	for _, n := range []struct {
		key       string
		value     int
		low, high int
	}{
		{"max_count", l.MaxCount, 1, 10_000},
		{"default_count", l.DefaultCount, 1, l.MaxCount},
		{"max_params", l.MaxParams, 10, 10_000},
		{"revalidate_windows", l.RevalidateWindows, 1, 1000},
		{"body_limit", l.BodyLimit, 1 << 10, 64 << 20},
		{"header_limit", l.HeaderLimit, 4 << 10, 1 << 20},
	} {
		if n.value < n.low || n.value > n.high {
			return fmt.Errorf("%s: must be %d to %d", n.key, n.low, n.high)
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"read_timeout", l.ReadTimeout},
		{"write_timeout", l.WriteTimeout},
		{"idle_timeout", l.IdleTimeout},
		{"request_timeout", l.RequestTimeout},
		{"booking_timeout", l.BookingTimeout},
		{"revalidate_timeout", l.RevalidateTimeout},
		{"cursor_ttl", l.CursorTTL},
	} {
		if d.value <= 0 || d.value > 7*24*time.Hour {
			return fmt.Errorf("%s: must be more than 0 and at most 7d", d.key)
		}
	}
	return nil
}

// publicBase is the root of every absolute address that we give, without a
// slash at its end.
func publicBase(opts Options, listening string) string {
	if opts.PublicURL != "" {
		return strings.TrimRight(opts.PublicURL, "/")
	}
	host, port, err := net.SplitHostPort(listening)
	if err != nil {
		return "http://" + listening
	}
	// Nobody can ask "every address" for anything.
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
