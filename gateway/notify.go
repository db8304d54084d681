package gateway

import (
	"bytes"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// Notices takes what sources tell.
type Notices interface {
	// Listens tells whether the source may tell anything.
	Listens(source scheduling.SourceID) bool
	// Heard notes a sign of life.
	Heard(ctx context.Context, source scheduling.SourceID) error
	// Tell hands on that something has changed there.
	Tell(ctx context.Context, source scheduling.SourceID, notice scheduling.Notice) error
}

// NotifyOptions bound what sources may tell.
type NotifyOptions struct {
	Rate float64 `yaml:"rate"` // notifications a second that of a source that are read each; more are taken as one that says that something changed
	Body int     `yaml:"body"` // bytes of one; more is 413
}

// SetDefaults fills in what works.
func (o *NotifyOptions) SetDefaults() { *o = NotifyOptions{Rate: 50, Body: 64 << 10} }

// Validate checks the numbers. Every error begins with the key.
func (o NotifyOptions) Validate() error {
	switch {
	case !(o.Rate > 0 && o.Rate <= 100_000):
		return errors.New("rate: must be above 0 and at most 100000")
	case o.Body < 1<<10 || o.Body > 1<<20:
		return errors.New("body: must be 1024 to 1048576")
	}
	return nil
}

// Notify is who takes what sources tell, and how much of it.
type Notify struct {
	Notices Notices // nil: nothing is taken, and there is nothing at /notify
	Options NotifyOptions
}

// notifyPath is where sources tell of changes. They need no key of a caller: each
// has a secret of its own, which we gave it with the Subscription, and its own
// limit.
const notifyPath = "/notify/"

// notified is what is counted and limited of the notifications.
type notified struct {
	opts    NotifyOptions
	counted *prometheus.CounterVec

	mu    sync.Mutex
	paces map[scheduling.SourceID]*pace
}

func newNotified(n Notify, reg prometheus.Registerer) (*notified, error) {
	if n.Notices == nil {
		return nil, nil
	}
	if n.Options == (NotifyOptions{}) {
		n.Options.SetDefaults()
	}
	if err := n.Options.Validate(); err != nil {
		return nil, fmt.Errorf("gateway: notify: %w", err)
	}
	counted := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "slotgate_notifications_total", Help: "What sources told, by outcome: change, heartbeat, throttled (over the rate, merged), unreadable, failed; of nobody known: stranger.",
	}, []string{"source", "outcome"})
	if err := reg.Register(counted); err != nil {
		return nil, fmt.Errorf("gateway: registering metrics: %w", err)
	}
	return &notified{opts: n.Options, counted: counted, paces: map[scheduling.SourceID]*pace{}}, nil
}

// serveNotices registers where sources tell of changes.
func (s *Server) serveNotices() {
	if s.notified == nil {
		return
	}
	for _, path := range []string{notifyPath + ":source/:secret", notifyPath + ":source"} {
		s.app.Post(path, func(c *fiber.Ctx) error {
			x, ok := c.Locals(exchangeKey{}).(*exchange)
			if !ok {
				return fiber.ErrInternalServerError
			}
			x.route, x.private = path, true
			return x.notify()
		})
	}
}

// notify takes one notification. Whoever does not know the secret learns nothing,
// not even which sources there are.
func (x *exchange) notify() error {
	source := scheduling.SourceID(x.param("source"))
	if !x.knowsSecret(source) {
		x.s.notified.counted.WithLabelValues("", "stranger").Inc()
		if x.param("secret") != "" {
			return refuseHTTP(fiber.StatusNotFound)
		}
		return scheduling.Refuse(scheduling.Unauthorized, "", "this is no source that we listen to")
	}
	x.caller = string(source)
	outcome, err := x.take(source)
	x.s.notified.counted.WithLabelValues(string(source), outcome).Inc()
	if err != nil {
		return err
	}
	return x.c.SendStatus(fiber.StatusOK)
}

// take hands on what the body says. A source that is answered anything but 200
// may end its Subscription: one that tells too much is not told so, but read less
// closely.
func (x *exchange) take(source scheduling.SourceID) (outcome string, err error) {
	n, notices := x.s.notified, x.s.deps.Notify.Notices
	fits := n.fits(source, x.s.deps.Now())
	body := bytes.TrimSpace(bytes.TrimPrefix(x.body(), []byte("\xef\xbb\xbf")))
	switch {
	case len(body) > n.opts.Body:
		return "unreadable", refuseHTTP(fiber.StatusRequestEntityTooLarge)
	case len(body) > 0 && (!fits || n.owes(source)):
		return x.merge(source)
	case !fits: // heartbeats: those before were noted
		return "throttled", nil
	}
	outcome = "heartbeat"
	if len(body) > 0 {
		outcome = "change"
		notice, err := fhir.ReadNotice(x.releaseAt(source), formatOfBody(body), body)
		if err != nil {
			return "unreadable", err
		}
		if err := notices.Tell(x.ctx, source, notice); err != nil {
			return "failed", err
		}
	}
	x.heard(source)
	return outcome, nil
}

// heard notes a sign of life. Without the store it is not known for how long the
// source was silent; that is no reason to refuse what it says.
func (x *exchange) heard(source scheduling.SourceID) {
	if err := x.s.deps.Notify.Notices.Heard(x.ctx, source); err != nil {
		x.s.deps.Logger.DebugContext(x.ctx, "a source's sign of life was not noted", "source", source, "code", scheduling.CodeOf(err))
	}
}

// knowsSecret compares what was shown with what this source was given, by each of
// the secrets that are known, in a time that tells nothing.
func (x *exchange) knowsSecret(source scheduling.SourceID) bool {
	shown := x.param("secret")
	if shown == "" {
		scheme, token, _ := strings.Cut(x.header(fiber.HeaderAuthorization), " ")
		if strings.EqualFold(scheme, "Bearer") {
			shown = strings.TrimSpace(token)
		}
	}
	known := false
	for _, secret := range *x.s.secrets.Load() {
		if hmac.Equal([]byte(shown), []byte(scheduling.NotifyKey(secret, source))) {
			known = true
		}
	}
	return known && x.s.deps.Notify.Notices.Listens(source)
}

// releaseAt is the release that a source speaks.
func (x *exchange) releaseAt(source scheduling.SourceID) scheduling.Release {
	for _, src := range x.s.live.Load().sources {
		if src.ID == source {
			return src.Release
		}
	}
	return scheduling.R4
}

// formatOfBody looks at the body itself: what servers say of it is often wrong.
func formatOfBody(body []byte) fhir.Format {
	if body[0] == '<' {
		return fhir.XML
	}
	return fhir.JSON
}

// isNotice: the body is of a source's release, and not of a base's.
func (x *exchange) isNotice() bool { return strings.HasPrefix(x.c.Path(), notifyPath) }

// PublicBase is the root of every absolute address that is given to others: what
// is configured, or the address that is listened on.
func PublicBase(opts Options, listening string) string { return publicBase(opts, listening) }
