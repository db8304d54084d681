package admin

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"slotgate/config"
)

// Options of the listener. Its keys stand at the top of the config.
type Options struct {
	// Listen is the address, host:port. Other than loopback needs the token.
	Listen string `yaml:"admin"`
	// Token opens everything but /livez and /readyz; from admin_token_file.
	Token config.Secret `yaml:"admin_token"`
	// ReadyAfter is how long /readyz waits for the first loads.
	ReadyAfter time.Duration `yaml:"-"`
}

// SetDefaults fills in what works on one machine.
func (o *Options) SetDefaults() {
	o.Listen = "127.0.0.1:9090"
	o.ReadyAfter = 30 * time.Second
}

// DefaultOptions are options with every default.
func DefaultOptions() Options {
	var o Options
	o.SetDefaults()
	return o
}

// Validate refuses to show the operator's view to the whole network.
func (o Options) Validate() error {
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil || port == "" {
		return errors.New("admin: must be host:port, such as 127.0.0.1:9090")
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("admin: there is no port %s; write one of 1 to 65535, or 0 for any free one", port)
	}
	if !isLoopback(host) && o.Token.IsZero() {
		return errors.New("admin: other than on the loopback address it needs admin_token_file")
	}
	return nil
}

// isLoopback tells whether only this machine can reach the host.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
