package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"github.com/gofiber/fiber/v2"

	"slotgate/gateway/auth"
)

// edge surrounds every request that could be read.
func (s *Server) edge(c *fiber.Ctx) error {
	x := newExchange(s, c)
	ctx, cancel := context.WithTimeout(x.ctx, s.opts.RequestTimeout)
	defer cancel()
	x.ctx = ctx
	c.SetUserContext(ctx)
	c.Locals(exchangeKey{}, x)
	x.headers()
	s.metrics.running.Inc()
	defer s.metrics.running.Dec()
	err := x.next()
	if err != nil {
		err = x.refuse(err)
	}
	x.finish()
	return err
}

// unread answers what could not be read as a request at all; no route and no
// edge has seen it.
func (s *Server) unread(c *fiber.Ctx, err error) error {
	x := newExchange(s, c)
	x.route = "unreadable"
	x.headers()
	err = x.refuse(err)
	if c.Response().StatusCode() == fiber.StatusRequestEntityTooLarge {
		linger(c)
	}
	x.finish()
	return err
}

// next runs the rest, and makes an error of a panic. What a panic says may hold
// anything, a patient's name included: type and place must do.
func (x *exchange) next() (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		x.s.metrics.panics.Inc()
		x.s.deps.Logger.LogAttrs(x.ctx, slog.LevelError, "panic in a handler",
			slog.String("requestId", x.id), slog.String("route", x.route),
			slog.String("type", fmt.Sprintf("%T", v)), slog.String("at", panicSite()))
		err = fiber.ErrInternalServerError
	}()
	if err := x.plainBody(); err != nil {
		return err
	}
	return x.c.Next()
}

// panicSite names the function that panicked: the first below the runtime's.
func panicSite() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		if !more {
			return "unknown"
		}
	}
}

// headers are those that every answer has. Nothing here is a page: it may not
// be framed, sniffed, or kept unless a handler says so.
func (x *exchange) headers() {
	x.c.Set(fiber.HeaderXRequestID, x.id)
	x.c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	x.c.Set(fiber.HeaderXFrameOptions, "DENY")
	x.c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	x.c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	x.c.Set(fiber.HeaderCacheControl, "no-store")
	if strings.HasPrefix(x.s.base, "https:") {
		x.c.Set(fiber.HeaderStrictTransportSecurity, "max-age=31536000")
	}
}

// finish counts and logs what was answered: never the address, which may name a
// person, but the template of the route.
func (x *exchange) finish() {
	status := x.c.Response().StatusCode()
	took := x.s.deps.Now().Sub(x.started)
	x.s.metrics.answered(x.route, x.method(), status, took)
	x.s.deps.Logger.LogAttrs(x.ctx, slog.LevelInfo, "request",
		slog.String("method", x.method()), slog.String("route", x.route), slog.Int("status", status),
		slog.Duration("took", took), slog.Int("bytes", len(x.c.Response().Body())),
		slog.String("requestId", x.id), slog.String("caller", x.caller))
}

// access says who calls and whether they may.
func (x *exchange) access(right auth.Right) error {
	if right == auth.Open {
		return nil
	}
	known := x.s.live.Load().auth
	p, err := known.Authenticate(auth.Credentials{
		Authorization: x.header(auth.HeaderAuthorization),
		Session:       x.header(auth.HeaderSession),
		SessionShown:  len(x.c.Request().Header.PeekAll(auth.HeaderSession)) > 0,
	})
	if err != nil {
		return err
	}
	x.caller = p.Caller
	x.ctx = auth.With(x.ctx, p)
	return known.Check(p, right)
}

// maxRequestID bounds what is copied into logs for a caller.
const maxRequestID = 128

// requestID keeps the caller's, where it is fit for a log, or makes one.
func requestID(given string) string {
	ok := len(given) >= 1 && len(given) <= maxRequestID
	for i := 0; ok && i < len(given); i++ {
		c := given[i]
		ok = strings.IndexByte("-_.:+/=", c) >= 0 ||
			'0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
	}
	if ok {
		return given
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
