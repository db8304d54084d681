package config_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"slotgate/config/testenv"
)

const module = "slotgate"

// rooms is the table "Imports point down only" of the design: a room, and which other rooms its code may import. A package
// belongs to the longest room that its path begins with; packages of one room may import each other. Test files are free.
//
// A new arrow needs a page in docs/decisions/ that says why the rooms must know each other.
var rooms = map[string][]string{
	"scheduling":      {},
	"config":          {},
	"config/testenv":  {},
	"upstream/ehrsim": {}, // not fhir: it must be able to catch our encoder
	"fhir":            {"scheduling"},
	"upstream/token":  {"config"},
	"upstream":        {"upstream/token", "fhir", "scheduling", "config"},
	"upstream/check":  {"upstream", "fhir", "scheduling"},
	"cache/vault":     {"config"},
	"cache":           {"cache/vault", "scheduling", "config"},
	"cache/embedded":  {},
	"cache/redistest": {"cache/embedded"},
	"cache/replica":   {"scheduling"},
	"prefetch":        {"scheduling"}, // it has small interfaces of its own, which cache and upstream satisfy
	"gateway/booking": {"scheduling"}, // likewise
	"gateway/ask":     {"scheduling"}, // likewise
	"gateway/auth":    {"scheduling", "config"},
	"gateway/admin":   {"scheduling", "config"},
	"gateway/web":     {},
	"gateway":         {"gateway/ask", "gateway/booking", "gateway/auth", "gateway/admin", "gateway/web", "fhir", "scheduling"},
}

// testRooms are there for test files of other rooms, and for nobody else.
var testRooms = []string{"config/testenv", "cache/redistest"}

// libraries are foreign modules and the rooms that alone may know them.
var libraries = map[string]struct {
	rooms []string
	why   string
}{
	"github.com/gofiber/fiber":        {[]string{"gateway"}, "below the gateway nobody may depend on how HTTP is served"},
	"github.com/valyala/fasthttp":     {[]string{"gateway"}, "below the gateway nobody may depend on how HTTP is served"},
	"github.com/redis/go-redis":       {[]string{"cache"}, "all that touches Redis stands in one room, with its keys and scripts"},
	"github.com/alicebob/miniredis":   {[]string{"cache"}, "all that touches Redis stands in one room, with its keys and scripts"},
	"github.com/goccy/go-yaml":        {[]string{"config"}, "one package reads YAML, strictly"},
	"github.com/robfig/cron":          {[]string{"prefetch"}, "its parser panics on some texts; one package guards against that"},
	"github.com/alecthomas/kong":      {[]string{"cmd"}, "the command line belongs to cmd"},
	"github.com/rogpeppe/go-internal": {nil, "it is for tests"},
	"pgregory.net/rapid":              {nil, "it is for tests"},
	"go.uber.org/goleak":              {nil, "it is for tests"},
	"github.com/google/go-cmp":        {nil, "it is for tests"},
	"testing":                         {testRooms, "it is for tests"},
}

// roomOf gives the room of a package path below the module; "cmd/slotgate" has none: cmd may import everything.
func roomOf(pkg string) string {
	for p := pkg; p != "." && p != "/"; p = path.Dir(p) {
		if _, ok := rooms[p]; ok {
			return p
		}
	}
	return ""
}

func within(pkg string, places []string) bool {
	return slices.ContainsFunc(places, func(p string) bool { return pkg == p || strings.HasPrefix(pkg, p+"/") })
}

// wrongImport says why a package may not import another, or nothing when it may.
func wrongImport(pkg, imported string) string {
	ours, isOurs := strings.CutPrefix(imported, module+"/")
	if isOurs {
		return wrongRoom(pkg, ours)
	}
	for lib, rule := range libraries {
		if (imported == lib || strings.HasPrefix(imported, lib+"/")) && !within(pkg, rule.rooms) {
			return fmt.Sprintf("imports %s, which only %v may: %s", imported, rule.rooms, rule.why)
		}
	}
	if roomOf(pkg) == "scheduling" && strings.Contains(strings.Split(imported, "/")[0], ".") {
		return fmt.Sprintf("imports %s: the domain stands on the standard library alone", imported)
	}
	return ""
}

func wrongRoom(pkg, imported string) string {
	if within(pkg, []string{"cmd"}) {
		return ""
	}
	from, to := roomOf(pkg), roomOf(imported)
	switch {
	case from == "":
		return "is no room of the design: put the code into a room, or add one to the table in config/rooms_test.go with a page in docs/decisions/"
	case to == "":
		return fmt.Sprintf("imports %s: nobody imports cmd, and what others need stands in a room", imported)
	case slices.Contains(testRooms, to):
		return fmt.Sprintf("imports %s, which is for test files", imported)
	case from == to || slices.Contains(rooms[from], to):
		return ""
	}
	return fmt.Sprintf("imports %s, but imports point down only: %s may know %v. Let %s own a small interface and let cmd join the two, or write a page in docs/decisions/ and add the arrow to config/rooms_test.go",
		imported, from, rooms[from], from)
}

func TestImportsPointDownOnly(t *testing.T) {
	t.Parallel()
	for _, file := range sources(t) {
		for _, spec := range file.ast.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if why := wrongImport(file.pkg, imported); why != "" {
				t.Errorf("%s: %s %s", file.fset.Position(spec.Pos()), file.pkg, why)
			}
		}
	}
}

func TestTheImportRuleTellsRightFromWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pkg, imported, want string }{
		{"scheduling", "time", ""},
		{"scheduling", "golang.org/x/sync/errgroup", "standard library alone"},
		{"scheduling", "slotgate/fhir", "point down only"},
		{"config", "slotgate/scheduling", "point down only"},
		{"config", "slotgate/config/testenv", "for test files"},
		{"fhir/r4", "slotgate/fhir/model", ""},
		{"fhir/r4", "slotgate/scheduling", ""},
		{"fhir", "slotgate/config", "point down only"},
		{"upstream/ehrsim", "slotgate/fhir/model", "point down only"},
		{"upstream/check", "slotgate/upstream", ""},
		{"upstream", "slotgate/upstream/check", "point down only"},
		{"cache/replica", "slotgate/cache", "point down only"},
		{"prefetch", "slotgate/cache", "point down only"},
		{"gateway/booking", "slotgate/gateway", "point down only"},
		{"gateway", "slotgate/cache/replica", "point down only"},
		{"gateway", "slotgate/gateway/auth", ""},
		{"cmd/slotgate", "slotgate/cache/replica", ""},
		{"util", "slotgate/scheduling", "no room of the design"},
		{"gateway", "slotgate/cmd/slotgate", "nobody imports cmd"},
		{"gateway/admin", "github.com/gofiber/fiber/v2", ""},
		{"cmd/slotgate", "github.com/gofiber/fiber/v2", "only [gateway] may"},
		{"cache/replica", "github.com/redis/go-redis/v9", ""},
		{"gateway", "github.com/redis/go-redis/v9", "only [cache] may"},
		{"fhir", "pgregory.net/rapid", "for tests"},
	} {
		got := wrongImport(c.pkg, c.imported)
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s importing %s: %q, want %q", c.pkg, c.imported, got, c.want)
		}
	}
}

// source is one file of the project that is no test.
type source struct {
	pkg  string // folder, from the root
	name string
	fset *token.FileSet
	ast  *ast.File
}

// sources parses every Go file of the project that is no test.
func sources(t *testing.T) []source {
	t.Helper()
	root := testenv.Root(t)
	var all []source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != root || d.Name() == "testdata" || d.Name() == "bin" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		parsed, err := parse(filepath.ToSlash(rel), text)
		if err == nil && !isScript(parsed.ast) {
			all = append(all, parsed)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 5 {
		t.Fatalf("found %d Go files only: the rule looks at the wrong folder", len(all))
	}
	return all
}

func parse(name string, text []byte) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{pkg: path.Dir(name), name: name, fset: fset, ast: file}, err
}

// isScript tells a file that is no part of its package: a generator, run by hand.
func isScript(file *ast.File) bool {
	for _, group := range file.Comments {
		for _, c := range group.List {
			if c.Pos() < file.Package && c.Text == "//go:build ignore" {
				return true
			}
		}
	}
	return false
}
