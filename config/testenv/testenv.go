// Package testenv finds what tests need from outside the project: the folder of real data beside the checkout, and a Node
// that runs the foreign FHIR server and client of .ci/npm; and it holds what tests of many packages begin with. It is for
// tests alone.
//
// What is missing makes a test skip, with the reason and the remedy; under `make test` and in CI, which set up all of it,
// an environment variable turns the skip into a failure, so that nothing passes by not running:
//
//	SLOTGATE_NEED_SHARED=1    ../shared/data must be there
//	SLOTGATE_NEED_NODE=1      Node and the packages of .ci/npm must be there
package testenv

import (
	"os"
	"path/filepath"
	"testing"
)

// Root is the absolute path of the checkout: the nearest folder with a go.mod, upwards from where the test runs.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("no working folder: %v", err)
	}
	for {
		_, err = os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod in any folder above the test")
		}
		dir = parent
	}
}

// Shared is the path of a file or folder of real data, which is read in place and is no part of the project: name
// "argonaut/connectathon" is ../shared/data/argonaut/connectathon beside the checkout.
func Shared(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(Root(t), "..", "shared", "data", filepath.FromSlash(name))
	_, err := os.Stat(path)
	if err != nil {
		missing(t, "SLOTGATE_NEED_SHARED", "no real data at %s: this test reads it in place", path)
		return path
	}
	note(t)
	return path
}

// note writes the test's name to the file that CI names, which must not end empty: real data was read.
func note(t testing.TB) {
	t.Helper()
	log := os.Getenv("SLOTGATE_SHARED_LOG")
	if log == "" {
		return
	}
	f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatalf("SLOTGATE_SHARED_LOG: %v", err)
	}
	_, err = f.WriteString(t.Name() + "\n")
	closed := f.Close()
	if err != nil || closed != nil {
		t.Fatalf("SLOTGATE_SHARED_LOG: %v %v", err, closed)
	}
}

// missing skips the test, or fails it where the thing was promised.
func missing(t testing.TB, need, format string, args ...any) {
	t.Helper()
	if os.Getenv(need) == "1" {
		t.Fatalf(need+"=1, but "+format, args...)
	}
	t.Skipf(format, args...)
}
