package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slotgate/config"
)

// FuzzParse holds, for any text: the result is a config or an *Error of one line that lies within the file, and a secret
// of the text is not in it.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob("testdata/*.bad.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(napa + "admin_token: marker-of-a-secret\nlevel: high\nextra: {a: [1, 2.5, null]}\n"))
	f.Add([]byte("a: &x [*x]\n<<: [*x, {b: c}]\n? k\n: v\n%YAML 1.2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		// A mistyped path may name a device that never ends; the fuzzer would find it.
		if strings.Contains(string(text), "_file") {
			t.Skip()
		}
		// The fuzzer does not notice an endless loop by itself.
		watch := time.AfterFunc(20*time.Second, func() { panic(fmt.Sprintf("endless: %q", text)) })
		defer watch.Stop()
		var into file
		err := config.Parse("fuzz.yml", text, &into)
		if err == nil {
			if len(into.Sources) == 0 {
				t.Fatal("a config without a source was taken")
			}
			return
		}
		var told *config.Error
		if !errors.As(err, &told) {
			t.Fatalf("%T %v", err, err)
		}
		if told.Line < 1 || told.Line > strings.Count(string(text), "\n")+1 {
			t.Fatalf("line %d of a file of %d: %v", told.Line, strings.Count(string(text), "\n")+1, err)
		}
		if strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 2000 {
			t.Fatalf("not one line: %q", err)
		}
		if s := into.Admin.Reveal(); len(s) > 8 && strings.Contains(err.Error(), s) {
			t.Fatalf("a secret is in %q", err)
		}
	})
}
