package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slotgate/config"
)

// TestEveryMistakeIsToldInOneLine loads each testdata/*.bad.yml. Its first line says which error it must give, as
// `# want: LINE: message`.
func TestEveryMistakeIsToldInOneLine(t *testing.T) {
	t.Setenv("SLOTGATE_TEST_WORD", "open-sesame")
	names, err := filepath.Glob("testdata/*.bad.yml")
	if err != nil || len(names) < 60 {
		t.Fatalf("found %d bad configs: %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".bad.yml"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			want := name + ":" + strings.TrimPrefix(first, "# want: ")
			err = config.Load(name, &file{})
			var told *config.Error
			if !errors.As(err, &told) {
				t.Fatalf("got %T %v, want %s", err, err, want)
			}
			if err.Error() != want {
				t.Errorf("\n got %s\nwant %s", err, want)
			}
		})
	}
}
