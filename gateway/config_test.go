package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/gateway/admin"
	"slotgate/gateway/auth"
)

// file is a config with the sections of this room, as cmd joins them.
type file struct {
	Gateway Options       `yaml:",inline"`
	Admin   admin.Options `yaml:",inline"`
	Auth    auth.Options  `yaml:",inline"`
}

func load(t *testing.T, text string) (file, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"slotgate.yaml": text, "token": "t0ken-of-the-operator\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var f file
	err := config.Load(filepath.Join(dir, "slotgate.yaml"), &f)
	return f, err
}

func TestTheConfigHasTheKeysOfTheContract(t *testing.T) {
	t.Parallel()
	f, err := load(t, `
listen: 0.0.0.0:8081
admin: 0.0.0.0:9091
admin_token_file: token
public_url: https://slots.example.org
gateway:
  cursor_ttl: 2d
  max_count: 500
callers:
  - id: bookings.example
    key_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    trusted: [napa]
anonymous: [find, directory]
`)
	if err != nil {
		t.Fatal(err)
	}
	g := f.Gateway
	if g.Listen != "0.0.0.0:8081" || g.PublicURL != "https://slots.example.org" || g.CursorTTL != 48*time.Hour || g.MaxCount != 500 || g.DefaultCount != 20 {
		t.Errorf("gateway: %+v", g)
	}
	if f.Admin.Listen != "0.0.0.0:9091" || f.Admin.Token.Reveal() != "t0ken-of-the-operator" || f.Admin.ReadyAfter != 30*time.Second {
		t.Errorf("admin: %+v", f.Admin)
	}
	if len(f.Auth.Callers) != 1 || f.Auth.Callers[0].Trusted[0] != "napa" || len(f.Auth.Anonymous) != 2 {
		t.Errorf("callers: %+v", f.Auth)
	}
}

func TestABadConfigIsToldWithItsLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"listen: here\n":                                ":1: listen: must be host:port",
		"admin: 0.0.0.0:9090\n":                         ":1: admin: other than on the loopback address",
		"public_url: slots.example.org\n":               ":1: public_url: must be an absolute",
		"gateway:\n  max_count: 0\n":                    ":2: gateway.max_count: must be 1 to",
		"gateway:\n  read_timeout: 0s\n":                ":2: gateway.read_timeout: must be more than 0",
		"anonymous: [find, write]\n":                    ":1: anonymous[1]: unknown right",
		"callers:\n  - id: a\n    key_sha256: secret\n": ":3: callers[0].key_sha256: must be the SHA-256",
	} {
		_, err := load(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	if f, err := load(t, "anonymous: []\n"); err != nil || f.Gateway.Listen != "127.0.0.1:8080" || f.Admin.Listen != "127.0.0.1:9090" {
		t.Errorf("the defaults: %+v, error %v", f, err)
	}
}
