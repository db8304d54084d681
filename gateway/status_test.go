package gateway

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strconv"
	"testing"

	"github.com/gofiber/fiber/v2"

	"slotgate/scheduling"
)

// codes reads the codes that there are from where they are declared.
func codes(t *testing.T) []scheduling.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../scheduling/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var list []scheduling.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Code" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, scheduling.Code(text))
		}
		return true
	})
	return list
}

func TestEveryCodeHasItsStatus(t *testing.T) {
	t.Parallel()
	list := codes(t)
	if len(list) < 22 {
		t.Fatalf("only %d codes were found", len(list))
	}
	for _, code := range list {
		status := statusOf(code)
		if (status == http.StatusInternalServerError) != (code == scheduling.Internal) {
			t.Errorf("%s has status %d: it is not in the table", code, status)
		}
		if http.StatusText(status) == "" {
			t.Errorf("%s has status %d", code, status)
		}
	}
}

func TestErrorsAreJudgedThroughTheirWrapping(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		err    error
		code   scheduling.Code
		status int
	}{
		{"one of ours", fmt.Errorf("find: %w", scheduling.Refuse(scheduling.SlotTaken, "", "taken")), scheduling.SlotTaken, 409},
		{"one of HTTP's", fmt.Errorf("x: %w", refuseHTTP(415)), scheduling.NotSupported, 415},
		{"one of Fiber's", fiber.ErrMethodNotAllowed, scheduling.NotSupported, 405},
		{"one of Fiber's that has no place here", fiber.NewError(502, "secret"), scheduling.BadRequest, 400},
		{"a foreign one", errors.New("secret"), scheduling.Internal, 500},
	} {
		e, status := judge(tc.err)
		if e.Code != tc.code || status != tc.status || e.Message == "secret" {
			t.Errorf("%s: %v with status %d", tc.name, e, status)
		}
	}
}
