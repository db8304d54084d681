package upstream

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// stranger is another origin that counts who comes, and who brings a token.
type stranger struct {
	calls, tokens atomic.Int32
	base          string
}

func newStranger(t *testing.T, answer http.HandlerFunc) *stranger {
	t.Helper()
	s := &stranger{}
	s.base = serve(t, func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		if r.Header.Get("Authorization") != "" {
			s.tokens.Add(1)
		}
		answer(w, r)
	})
	return s
}

func TestLaw11ATokenGoesToItsOwnOriginOnly(t *testing.T) {
	t.Parallel()
	other := newStranger(t, tiny(func(w http.ResponseWriter, _ *http.Request) { page(w, 2, "", slotJSON("b", 1)) }))
	for name, handler := range map[string]http.HandlerFunc{
		"a next link to another port": tiny(func(w http.ResponseWriter, _ *http.Request) { page(w, 2, other.base+"/Slot?page=2", slotJSON("a", 0)) }),
		"a next link with a user": tiny(func(w http.ResponseWriter, _ *http.Request) {
			page(w, 2, strings.Replace(other.base, "//", "//ehr@", 1)+"/Slot", slotJSON("a", 0))
		}),
		"a next link without a scheme": tiny(func(w http.ResponseWriter, _ *http.Request) {
			page(w, 2, strings.TrimPrefix(other.base, "http:")+"/Slot?page=2", slotJSON("a", 0))
		}),
		"a redirect": tiny(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.base+"/Slot?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		}),
		"a redirect of everything": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.base+strings.TrimPrefix(r.URL.Path, "/fhir"), http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, serve(t, handler), func(o *Options) {
				utc(o)
				bearer("s3cret")(o)
			})
			got, err := c.Fetch(t.Context(), ahead(noon, 2))
			switch {
			case err != nil && scheduling.CodeOf(err) != scheduling.SourceNonsense:
				t.Errorf("%v", err)
			case err == nil && got.Complete:
				t.Errorf("complete, with %d slots", got.Slots())
			}
		})
	}
	if other.calls.Load() != 0 || other.tokens.Load() != 0 {
		t.Errorf("another origin got %d calls, %d of them with a token", other.calls.Load(), other.tokens.Load())
	}
}

func TestLaw11ARedirectWithinTheOriginIsFollowed(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, tiny(func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("moved") {
			http.Redirect(w, r, r.URL.Path+"?moved=1&"+r.URL.RawQuery, http.StatusPermanentRedirect)
			return
		}
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		page(w, 1, "", slotJSON("a", 0))
	})), func(o *Options) {
		utc(o)
		bearer("s3cret")(o)
	})
	if got := fetch(t, c, ahead(noon, 2)); got.Slots() != 1 || !got.Complete {
		t.Errorf("%d slots, %s", got.Slots(), got.Cut)
	}
}

func TestLaw11WithTheQuirkForeignNextLinksAreAskedAtOurOwnBase(t *testing.T) {
	t.Parallel()
	other := newStranger(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, paging := range []ehrsim.Paging{ehrsim.TokenPaging, ehrsim.OffsetPaging} {
		srv, err := ehrsim.New(practice(slotsSim(func(o *ehrsim.Options) { o.Paging = paging })))
		if err != nil {
			t.Fatal(err)
		}
		// A gateway that puts the EHR elsewhere; its links keep its own name.
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			inner := r.Clone(r.Context())
			inner.Host = strings.TrimPrefix(strings.TrimSuffix(other.base, "/fhir"), "http://")
			inner.URL.Path = "/fhir" + strings.TrimPrefix(r.URL.Path, "/fhir/tenant")
			srv.ServeHTTP(w, inner)
		}) + "/tenant"
		strict := client(t, base, func(o *Options) { o.Quirks.PageSize = 50 })
		if cut := fetch(t, strict, ahead(noon, 8)); cut.Complete || !strings.Contains(cut.Cut, "next_origin") || cut.Slots() > 50 {
			t.Errorf("%s without the quirk: %d slots, %q", paging, cut.Slots(), cut.Cut)
		}
		c := client(t, base, func(o *Options) { o.Quirks.NextOrigin, o.Quirks.PageSize = true, 50 })
		got := fetch(t, c, ahead(noon, 8))
		if want := theRealOnes(srv, c, got.Scope, true); !got.Complete || got.Slots() != len(want) || len(want) < 100 {
			t.Errorf("%s: %d slots of %d, complete %v (%s)", paging, got.Slots(), len(want), got.Complete, got.Cut)
		}
	}
	if other.calls.Load() != 0 {
		t.Errorf("%d calls went astray", other.calls.Load())
	}
}

func TestOriginsAreComparedBySchemeHostAndPort(t *testing.T) {
	t.Parallel()
	for pair, same := range map[[2]string]bool{
		{"https://a.example/fhir", "https://A.example:443/x"}:  true,
		{"http://a.example/fhir", "http://a.example:80/x"}:     true,
		{"https://a.example/fhir", "http://a.example/x"}:       false,
		{"https://a.example/fhir", "https://a.example:8443/x"}: false,
		{"https://a.example/fhir", "https://a.example.evil/x"}: false,
		{"https://a.example/fhir", "//a.example/x"}:            false,
	} {
		a, _ := url.Parse(pair[0])
		b, _ := url.Parse(pair[1])
		if sameOrigin(a, b) != same {
			t.Errorf("%v: want %v", pair, same)
		}
	}
}
