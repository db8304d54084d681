package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slotgate/config"
	"slotgate/config/testenv"
	"slotgate/scheduling"
)

// exampleFolder is a copy of deploy/ with secrets beside it.
func exampleFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../deploy")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"solano-key.pem", "solano-next.pem"} {
		key := signingKey(t)
		write(t, dir, "secrets/"+name, key.Reveal())
	}
	for _, name := range []string{"admin-token", "redis-password", "sonoma-token", "marin-secret", "booking-secret"} {
		write(t, dir, "secrets/"+name, "an example secret, long enough\n")
	}
	write(t, dir, "secrets/vault-key", strings.Repeat("0f", 32)+"\n")
	return dir
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheExampleLoadsAndShowsEveryKey(t *testing.T) {
	path := filepath.Join(exampleFolder(t), "slotgate.example.yaml")
	f, err := loadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Sources) != 4 {
		t.Errorf("%d sources", len(f.Sources))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	missing, err := config.Unwritten(path, text, &file{})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range missing {
		// An embedded Redis excludes redis.url: the example shows it as a comment.
		if !strings.Contains(string(text), "# "+key[strings.LastIndex(key, ".")+1:]+":") {
			t.Errorf("the example does not show %s", key)
		}
	}
}

func TestTheExampleShowsTheDefaults(t *testing.T) {
	dir := exampleFolder(t)
	full, err := loadFile(filepath.Join(dir, "slotgate.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := loadFile(write(t, dir, "bare.yaml", `
redis: {url: "redis://127.0.0.1:6379/0"}
sources: [{id: napa, base: "https://ehr.example.org/fhir", dialect: argonaut}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if full.Gateway.Limits != bare.Gateway.Limits {
		t.Errorf("gateway: %+v, default %+v", full.Gateway.Limits, bare.Gateway.Limits)
	}
	if full.Booking.Options.Holds != bare.Booking.Holds || full.Booking.LookFor != bare.Booking.LookFor ||
		full.Redis.KeepPatients != bare.Redis.KeepPatients || full.Redis.WaitTimeout != bare.Redis.WaitTimeout {
		t.Errorf("booking: %+v, default %+v", full.Booking.Options, bare.Booking.Options)
	}
	a, b := full.Sources[0], bare.Sources[0]
	if a.Prefetch != b.Prefetch {
		t.Errorf("prefetch: %+v, default %+v", a.Prefetch, b.Prefetch)
	}
	*a.Limits.Retries, a.Limits.Retries = *b.Limits.Retries, b.Limits.Retries
	if a.Limits != b.Limits {
		t.Errorf("limits: %+v, default %+v", a.Limits, b.Limits)
	}
}

// A config of testdata/bad is named after its mistake; its first line is the
// message that it must give, after the file's name.
func TestBadConfigsAreToldInOneLine(t *testing.T) {
	testenv.Bad(t, "testdata/bad/*.yaml", "# ", 15, func(path string) error {
		_, err := loadFile(path)
		if wrong := new(wrongConfig); !errors.As(err, &wrong) {
			t.Errorf("%s: not refused as a wrong config: %v", path, err)
		}
		return err
	})
}

// A file that is read twice gives secrets that lie elsewhere and are the same.
func TestAHangupThatChangesNothingNeedsNoNewProcess(t *testing.T) {
	dir := t.TempDir()
	text := "booking: {secret: a-secret-of-enough-bytes}\nvault:\n  keys:\n    - {id: one, key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}\n" +
		"redis: {url: \"redis://:a-password@127.0.0.1:6379/0\"}\n" +
		"sources:\n  - {id: napa, base: https://ehr.example.org/fhir, dialect: argonaut, fhir: r4, timezone: UTC}\n"
	read := func(text string) *file {
		t.Helper()
		f, err := loadFile(write(t, dir, "slotgate.yaml", text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	was := read(text)
	if keys := lasting(was, read(text)); len(keys) != 0 {
		t.Errorf("nothing was changed, and it needs a new process: %v", keys)
	}
	other := strings.Replace(text, "a-secret", "b-secret", 1)
	if keys := lasting(was, read(other)); len(keys) != 1 || keys[0] != "booking.secret" {
		t.Errorf("another secret: %v", keys)
	}
	if keys := lasting(was, read(strings.Replace(text, "AAEC", "BBEC", 1))); len(keys) != 1 || keys[0] != "vault" {
		t.Errorf("another key of the vault: %v", keys)
	}
}

// Our own reasons are told where writes are not ready; what others say may hold
// a path, an address or a key.
func TestWhyNothingIsBookedIsToldInOurOwnWords(t *testing.T) {
	for why, want := range map[error]string{
		errNoDir: errNoDir.Error(), errNoVault: errNoVault.Error(), errNoSecret: errNoSecret.Error(),
		errors.New("vault: key 0f0f of /etc/key"): "holds and bookings are not served", nil: "holds and bookings are not served",
	} {
		told := new(scheduling.Error)
		if err := unserved(why); !errors.As(err, &told) || told.Message != want || told.Code != scheduling.Shedding {
			t.Errorf("%v: %v", why, err)
		}
	}
}
