package config_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"slotgate/config/testenv"
)

// clients are the names of net/http by which a package asks others.
var clients = []string{"Client", "DefaultClient", "DefaultTransport", "Transport", "Get", "Head", "Post", "PostForm"}

// breaches lists what a file does that the project does not: each with its reason.
func breaches(s source) []string {
	var found []string
	say := func(at token.Pos, format string, args ...any) {
		found = append(found, fmt.Sprintf("%s: %s", s.fset.Position(at), fmt.Sprintf(format, args...)))
	}
	inCmd := within(s.pkg, []string{"cmd"})
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.FuncDecl:
			if x.Recv == nil && x.Name.Name == "init" {
				say(x.Pos(), "func init: what runs unasked cannot be tested or ordered; write a constructor and call it")
			}
		case *ast.CallExpr:
			if id, ok := x.Fun.(*ast.Ident); ok && id.Name == "panic" {
				say(x.Pos(), "panic: a gateway outlives one bad request; return an error")
			}
		case *ast.SelectorExpr:
			selector(s, x, inCmd, say)
		}
		return true
	})
	for _, decl := range s.ast.Decls {
		if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.VAR {
			globals(g, say)
		}
	}
	if lines := s.fset.File(s.ast.Pos()).LineCount(); lines > 400 {
		say(s.ast.Pos(), "%d lines: a file that long has two subjects; split it", lines)
	}
	return found
}

func selector(s source, x *ast.SelectorExpr, inCmd bool, say func(token.Pos, string, ...any)) {
	id, ok := x.X.(*ast.Ident)
	if !ok {
		return
	}
	name := id.Name + "." + x.Sel.Name
	switch {
	case inCmd:
	case name == "context.Background" || name == "context.TODO":
		say(x.Pos(), "%s below cmd: shutdown cannot reach what runs under it; take the caller's context", name)
	case name == "os.Exit" || strings.HasPrefix(name, "log.Fatal") || strings.HasPrefix(name, "log.Panic"):
		say(x.Pos(), "%s below cmd: only cmd ends the process; return an error", name)
	case (name == "os.Getenv" || name == "os.LookupEnv") && s.pkg != "config" && !slices.Contains(testRooms, s.pkg):
		say(x.Pos(), "%s: settings come from Options, which config fills", name)
	case id.Name == "http" && slices.Contains(clients, x.Sel.Name) && !within(s.pkg, []string{"upstream", "gateway/auth"}):
		say(x.Pos(), "%s: only upstream asks other servers (and gateway/auth for keys), under its limits, breakers and origin pin", name)
	}
}

// globals refuses package variables that have no value yet: somebody sets them later. Those with a value are tables,
// compiled patterns and error sentinels.
func globals(g *ast.GenDecl, say func(token.Pos, string, ...any)) {
	if g.Doc != nil && strings.Contains(docText(g.Doc), "//go:embed") {
		return
	}
	for _, spec := range g.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if ok && len(v.Values) == 0 && (v.Doc == nil || !strings.Contains(docText(v.Doc), "//go:embed")) {
			say(v.Pos(), "package variable %s: state belongs into a struct that is handed on", v.Names[0].Name)
		}
	}
}

// docText is a comment with its directives, which Text leaves out.
func docText(g *ast.CommentGroup) string {
	var b strings.Builder
	for _, c := range g.List {
		b.WriteString(c.Text + "\n")
	}
	return b.String()
}

func TestTheCodeKeepsItsHabits(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, file := range sources(t) {
		for _, breach := range breaches(file) {
			t.Error(breach)
		}
		documented[file.pkg] = documented[file.pkg] || len(strings.TrimSpace(file.ast.Doc.Text())) > 40
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("%s: no package comment; say in a few sentences what the package is for and what to know before reading it", pkg)
		}
	}
}

func TestTheHabitRuleTellsRightFromWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, code, want string }{
		{"gateway/a.go", "func init() {}", "func init"},
		{"gateway/a.go", "type t struct{}\nfunc (t) init() {}", ""},
		{"gateway/a.go", `func f() { panic("no") }`, "panic"},
		{"gateway/a.go", "var x = context.Background()", "below cmd"},
		{"cmd/slotgate/main.go", "var x = context.Background()", ""},
		{"gateway/a.go", "func f() { os.Exit(1) }", "only cmd ends"},
		{"prefetch/a.go", "var c http.Client", "only upstream asks"},
		{"prefetch/a.go", "func f() { http.Get(``) }", "only upstream asks"},
		{"gateway/a.go", "const c = http.StatusOK", ""},
		{"upstream/a.go", "type c struct{ c *http.Client }", ""},
		{"gateway/auth/a.go", "type c struct{ c *http.Client }", ""},
		{"cache/a.go", "var n int", "package variable n"},
		{"cache/a.go", "var errX = errors.New(``)", ""},
		{"cache/a.go", "//go:embed x.lua\nvar script string", ""},
		{"cache/a.go", "var x = os.Getenv(``)", "Options"},
		{"cache/a.go", strings.Repeat("\n", 400), "two subjects"},
	} {
		file, err := parse(c.name, []byte("package a\n"+c.code))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(breaches(file), "; ")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s: %q, want %q", c.name, c.code, got, c.want)
		}
	}
}

// topLevel is everything that may lie in the root: the rooms, what describes and builds them, and what git ignores.
var topLevel = []string{
	"cmd", "gateway", "prefetch", "upstream", "cache", "config", "deploy", "scheduling", "fhir", "docs",
	"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile", "go.mod", "go.sum", ".gitignore",
	".gitattributes", ".dockerignore", ".editorconfig", ".ci", ".git",
	"bin", ".cache",
}

func TestTheRootHoldsTheRoomsAndNothingElse(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(testenv.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		ignored := strings.HasSuffix(e.Name(), ".test") || strings.HasSuffix(e.Name(), ".out")
		if !ignored && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s lies in the root: put it into a room (docs/architecture.md says which), or add it to topLevel in config/habits_test.go", e.Name())
		}
	}
}
