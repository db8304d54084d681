package cache_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slotgate/cache"
	"slotgate/config/testenv"
)

// Not beside others: the setting holds for the process.
func TestWhatTheClientSaysGoesToTheLogAndNowhereElse(t *testing.T) {
	stderr, kept := os.Stderr, filepath.Join(t.TempDir(), "stderr")
	file, err := os.Create(kept)
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr = file
	var quiet, all testenv.Log
	t.Cleanup(func() {
		os.Stderr = stderr
		_ = file.Close()
		cache.LogClientTo(slog.New(slog.DiscardHandler))
	})
	for log, level := range map[*testenv.Log]slog.Level{&quiet: slog.LevelInfo, &all: slog.LevelDebug} {
		cache.LogClientTo(slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: level})))
		s := open(t, "unix:///no/such/socket")
		if err := s.Ping(t.Context()); err == nil {
			t.Fatal("somebody answers")
		}
	}
	if quiet.String() != "" {
		t.Errorf("at level info: %s", quiet.String())
	}
	var line struct{ Level, Msg, Says string }
	first, _, _ := strings.Cut(all.String(), "\n")
	if err := json.Unmarshal([]byte(first), &line); err != nil || line.Level != "DEBUG" || line.Msg != "go-redis" || !strings.Contains(line.Says, "/no/such/socket") {
		t.Errorf("%v: %s", err, all.String())
	}
	if said, err := os.ReadFile(kept); err != nil || len(said) > 0 {
		t.Errorf("on standard error: %s %v", said, err)
	}
}
