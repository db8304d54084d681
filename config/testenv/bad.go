package testenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Bad loads each file that the pattern names, which is named after its mistake.
// After the prefix its first line says which error it must give, behind its own
// name and a colon: "LINE: message". There must be enough of them.
func Bad(t *testing.T, pattern, prefix string, enough int, load func(path string) error) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) < enough {
		t.Fatalf("%d files, want %d: %v", len(paths), enough, err)
	}
	for _, path := range paths {
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			want := path + ":" + strings.TrimPrefix(first, prefix)
			if err = load(path); err == nil || err.Error() != want {
				t.Errorf("\n got %v\nwant %s", err, want)
			}
		})
	}
}
