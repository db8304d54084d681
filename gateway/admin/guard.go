package admin

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// headers are those that every answer has: nothing here is for a cache, a frame
// or a guesser of types.
func (s *Server) headers(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	return c.Next()
}

// recovered keeps a panic from ending the process. What it says may hold
// anything and is not logged.
func (s *Server) recovered(c *fiber.Ctx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			_, file, line, _ := runtime.Caller(2)
			s.deps.Logger.Error("panic in the admin listener", "type", fmt.Sprintf("%T", v), "at", fmt.Sprintf("%s:%d", file, line))
			err = fiber.ErrInternalServerError
		}
	}()
	return c.Next()
}

// knownHost refuses a Host that is not the machine's own while no token is
// asked for: a web page can have its own name resolve to 127.0.0.1 (DNS
// rebinding), and would then be of the same origin as this listener.
func (s *Server) knownHost(c *fiber.Ctx) error {
	if s.opts.Token.IsZero() && !isLoopback(hostOf(string(c.Request().Host()))) {
		return fiber.ErrForbidden
	}
	return c.Next()
}

func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// sameOrigin refuses what a page of another origin sends and would change
// something. Programs send neither header and pass.
func (s *Server) sameOrigin(c *fiber.Ctx) error {
	switch c.Method() {
	case fiber.MethodGet, fiber.MethodHead, fiber.MethodOptions:
		return c.Next()
	}
	switch c.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return c.Next()
	case "":
	default:
		return fiber.ErrForbidden
	}
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		return c.Next()
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !strings.EqualFold(u.Host, string(c.Request().Host())) {
		return fiber.ErrForbidden
	}
	return c.Next()
}

// token asks for the token where there is one.
func (s *Server) token(c *fiber.Ctx) error {
	if s.opts.Token.IsZero() {
		return c.Next()
	}
	scheme, token, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	if strings.EqualFold(scheme, "Bearer") && s.opts.Token.Equal(strings.TrimSpace(token)) {
		return c.Next()
	}
	c.Set(fiber.HeaderWWWAuthenticate, `Bearer realm="slotgate-admin"`)
	return fiber.ErrUnauthorized
}

// refuse answers every error with its status alone.
func (s *Server) refuse(c *fiber.Ctx, err error) error {
	status := fiber.StatusInternalServerError
	var e *fiber.Error
	if errors.As(err, &e) {
		status = e.Code
	}
	if status >= fiber.StatusInternalServerError {
		s.deps.Logger.Error("the admin listener could not answer", "error", err)
	}
	c.Status(status)
	return send(c, map[string]any{"status": status, "error": strings.ToLower(fiber.NewError(status).Message)})
}
