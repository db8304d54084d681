package gateway

import (
	"github.com/gofiber/fiber/v2"

	"slotgate/scheduling"
)

// jwks serves our public keys: none, while we sign nothing.
func (x *exchange) jwks() error {
	x.c.Set(fiber.HeaderCacheControl, "public, max-age=300")
	x.c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return x.c.SendString(`{"keys":[]}`)
}

// smartConfiguration is not there: no issuer of tokens is configured.
func (x *exchange) smartConfiguration() error {
	return scheduling.Refuse(scheduling.UnknownID, "", "no issuer of tokens is configured; callers have API keys")
}
