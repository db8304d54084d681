package upstream

import (
	"errors"
	"maps"
	"sync"
)

// stray is why we did not go where a source sent us (law 11), as it is shown
// to operators.
type stray string

const (
	nextElsewhere     stray = "next-elsewhere"     // a next link leads to another scheme, host or port
	nextUnreadable    stray = "next-unreadable"    // it is no address
	nextTooLong       stray = "next-too-long"      // or a longer one than servers make
	nextCircle        stray = "next-in-a-circle"   // it leads to a page that was read
	nextRepeats       stray = "next-repeats"       // the page behind it was read
	nextEndless       stray = "next-without-end"   // more pages than limits.max_pages
	redirectElsewhere stray = "redirect-elsewhere" // a redirect leads to another scheme, host or port
	redirectLoop      stray = "redirect-loop"      // too many redirects, or one that makes a GET of a POST
	redirectWrite     stray = "redirect-of-write"  // what changes something is sent once, to where it belongs
	fileElsewhere     stray = "file-elsewhere"     // a manifest names a file at an origin that is not configured
)

// longestLink is what a next link may have, in bytes.
const longestLink = 16 << 10

// strayCount counts them, since the process began.
type strayCount struct {
	mu sync.Mutex
	n  map[string]int
}

func (r *strayCount) add(why stray) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = map[string]int{}
	}
	r.n[string(why)]++
}

// strayed counts that we did not go where the source sent us.
func (c *Client) strayed(why stray) {
	c.strays.add(why)
	c.metrics.strayed(why)
}

// RefusedLinks is how often this process did not go where the source sent it, by
// reason, since it knows the source.
func (c *Client) RefusedLinks() map[string]int {
	c.strays.mu.Lock()
	defer c.strays.mu.Unlock()
	return maps.Clone(c.strays.n)
}

// redirected is the reason in an error of net/http; "": it is something else.
func redirected(err error) stray {
	switch {
	case errors.Is(err, errOtherOrigin):
		return redirectElsewhere
	case errors.Is(err, errRedirects):
		return redirectLoop
	default:
		return ""
	}
}
