package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/config"
)

// read reads a text that must be right.
func read(t *testing.T, text string) file {
	t.Helper()
	var f file
	err := config.Parse("testdata/inline.yml", []byte(text), &f)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const napa = "sources: [{id: napa, timezone: America/Los_Angeles}]\n"

func TestWhatIsNotWrittenHasItsDefault(t *testing.T) {
	t.Parallel()
	f := read(t, "sources:\n  - {id: napa, timezone: America/Los_Angeles}\n  - {id: sonoma, timezone: UTC}\n")
	if f.Listen != "127.0.0.1:8080" || f.Redis.Pool != 10 || f.Optional != nil {
		t.Errorf("got %+v", f)
	}
	for _, s := range f.Sources {
		if s.Prefetch.Horizon != 60*24*time.Hour || s.Limits != (limits{10, 4}) || !s.Readonly {
			t.Errorf("%s: got %+v", s.ID, s)
		}
	}
}

func TestWhatIsWrittenWinsOverTheDefaultEvenWhenItIsZero(t *testing.T) {
	t.Parallel()
	f := read(t, `
listen: ""
redis: {pool: 0}
optional: {rate: 0}
codes: {visit: {concurrency: 0}}
sources:
  - id: napa
    timezone: UTC
    readonly: false
    limits: {rate: 0, concurrency: 0}
`)
	s := f.Sources[0]
	if f.Listen != "" || f.Redis.Pool != 0 || s.Readonly || s.Limits != (limits{}) {
		t.Errorf("got %+v", f)
	}
	if *f.Optional != (limits{0, 4}) || f.Codes["visit"] != (limits{10, 0}) {
		t.Errorf("a pointer and an element of a map have the defaults of what is not written: %+v %+v", f.Optional, f.Codes)
	}
}

func TestASectionWithoutKeysIsAllDefaults(t *testing.T) {
	t.Parallel()
	f := read(t, "redis:\noptional: null\ncallers:\nlabels:\n"+napa)
	if f.Redis.Pool != 10 || f.Optional != nil || f.Callers != nil || f.Labels != nil {
		t.Errorf("got %+v", f)
	}
}

// outer changes the default of a section within it, and has a list by default.
type outer struct {
	Limits limits
	Days   []string
}

func (o *outer) SetDefaults() { o.Limits.Rate, o.Days = 99, []string{"mon", "tue"} }

func TestASectionMayChangeTheDefaultsOfThoseWithinIt(t *testing.T) {
	t.Parallel()
	var o outer
	err := config.Parse("a.yml", []byte("limits: {concurrency: 1}\ndays: [sun]\n"), &o)
	if err != nil {
		t.Fatal(err)
	}
	if want := (outer{limits{99, 1}, []string{"sun"}}); !cmp.Equal(o, want) {
		t.Errorf("got %+v, want %+v: a written list replaces the default one whole", o, want)
	}
}

func TestEveryKindOfValueIsRead(t *testing.T) {
	t.Setenv("SLOTGATE_TEST_HOST", "10.0.0.1")
	t.Setenv("SLOTGATE_TEST_RATE", "2.5")
	t.Setenv("SLOTGATE_TEST_YAML", "a: [b, {c}]\nadmin_token: x # no comment")
	f := read(t, "\ufeff"+`
listen: ${SLOTGATE_TEST_HOST}:80
public_url: "a $${NOT} b $ c ${SLOTGATE_TEST_YAML}"
redis: {dir: data/redis, embedded: true}
callers:
  - &one {id: "007", trusted: [a, "b", 'c']}
  - <<: *one
    id: two
labels:
  a.b: x
  12: |
    two
    lines
extra: {n: 1, f: 1.5, b: true, s: text, l: [1, two], m: {k: v}}
level: high
sources:
  - id: napa
    timezone: America/Los_Angeles
    lag: 1d12h
    prefetch: {horizon: 2w, zone: Europe/Berlin}
    limits: {rate: "${SLOTGATE_TEST_RATE}", concurrency: 3}
`)
	s := f.Sources[0]
	for what, pair := range map[string][2]any{
		"listen":     {f.Listen, "10.0.0.1:80"},
		"public_url": {f.PublicURL, "a ${NOT} b $ c a: [b, {c}]\nadmin_token: x # no comment"},
		"dir":        {string(f.Redis.Dir), filepath.Join("testdata", "data", "redis")},
		"callers":    {f.Callers, []caller{{"007", []string{"a", "b", "c"}}, {"two", []string{"a", "b", "c"}}}},
		"labels":     {f.Labels, map[string]string{"a.b": "x", "12": "two\nlines\n"}},
		"extra": {f.Extra, map[string]any{
			"n": int64(1), "f": 1.5, "b": true, "s": "text", "l": []any{int64(1), "two"}, "m": map[string]any{"k": "v"},
		}},
		"level":    {f.Level, level(1)},
		"timezone": {s.Timezone.String(), "America/Los_Angeles"},
		"lag":      {s.Lag.Std(), 36 * time.Hour},
		"horizon":  {s.Prefetch.Horizon, 14 * 24 * time.Hour},
		"zone":     {s.Prefetch.Zone.String(), "Europe/Berlin"},
		"limits":   {s.Limits, limits{2.5, 3}},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

func TestASecretComesFromItsKeyOrFromAFile(t *testing.T) {
	t.Setenv("SLOTGATE_TEST_DIR", "testdata")
	abs, err := filepath.Abs("testdata/good.secret")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"in its key":                         "admin_token: t0p-secret\n",
		"in a file beside the config":        "admin_token_file: good.secret\n",
		"in a file by its full path":         "admin_token_file: " + abs + "\n",
		"in a file named by the environment": "admin_token_file: ../${SLOTGATE_TEST_DIR}/good.secret\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, text+napa)
			if f.Admin.Reveal() != "t0p-secret" || !f.Admin.Equal("t0p-secret") || f.Admin.Equal("t0p-secrez") {
				t.Errorf("got %q", f.Admin.Reveal())
			}
		})
	}
}

func TestASecretFileMayBeReadOnlyForItsOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for mode, name := range map[os.FileMode]string{0o400: "a", 0o644: "b"} {
		err := os.WriteFile(filepath.Join(dir, name), []byte("x\r\n"), mode)
		if err != nil {
			t.Fatal(err)
		}
		var f file
		err = config.Parse(filepath.Join(dir, "c.yml"), []byte("admin_token_file: "+name+"\n"+napa), &f)
		if err != nil || f.Admin.Reveal() != "x" {
			t.Errorf("%v: %q %v", mode, f.Admin.Reveal(), err)
		}
	}
	err := os.WriteFile(filepath.Join(dir, "huge"), bytes.Repeat([]byte("x"), 65<<10), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	err = config.Parse(filepath.Join(dir, "c.yml"), []byte("admin_token_file: huge\n"), &file{})
	if err == nil || !strings.Contains(err.Error(), "larger than 64 KiB") {
		t.Errorf("a huge secret: %v", err)
	}
}

func TestNoWayOfPrintingShowsASecret(t *testing.T) {
	t.Parallel()
	f := read(t, "admin_token: hunter2\n"+napa)
	var logged bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&logged, nil))
	logger.Info("config", "secret", f.Admin, "file", f)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("config", "secret", f.Admin, "file", f)
	encoded, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	shown := logged.String() + string(encoded) + f.Admin.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		within := struct{ secret config.Secret }{f.Admin} // fmt calls no method of an unexported field
		shown += fmt.Sprintf(verb, within) + fmt.Sprintf(verb, &within) + fmt.Sprintf(verb, f.Admin) + fmt.Sprintf(verb, f) + fmt.Sprintf(verb, &f.Admin)
	}
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2")} {
		if strings.Contains(shown, leak) {
			t.Errorf("%q is in %s", leak, shown)
		}
	}
	if (config.Secret{}).String() != "" || f.Admin.String() != "[redacted]" {
		t.Errorf("got %q and %q", config.Secret{}, f.Admin)
	}
}

// telltale is a section that says everything it knows when it fails.
type telltale struct {
	Token config.Secret
	URL   string
	Note  string
}

func (s telltale) Validate() error {
	return fmt.Errorf("note: token %s, url %s, note %s", s.Token.Reveal(), s.URL, s.Note)
}

func TestNoErrorShowsASecretOrTheEnvironment(t *testing.T) {
	t.Setenv("SLOTGATE_TEST_PASSWORD", "open-sesame")
	text := "token_file: good.secret\nurl: https://me:hunter2@example.org/${SLOTGATE_TEST_PASSWORD}\nnote: >-\n  a\n\n  b\n"
	err := config.Parse("testdata/inline.yml", []byte(text), &telltale{})
	want := "testdata/inline.yml:3: note: token [redacted], url https://[redacted]@example.org/${SLOTGATE_TEST_PASSWORD}, note a b"
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
	long := "token: abcd\nurl: u\nnote: " + strings.Repeat("long ", 10_000)
	err = config.Parse("a.yml", []byte(long), &telltale{})
	if err == nil || len(err.Error()) > 700 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestAFileThatCannotBeReadIsTold(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"testdata/none.yml": "testdata/none.yml: cannot be read: no such file or directory; name a YAML file that exists",
		"testdata":          "testdata: cannot be read: is a directory; name a YAML file that exists",
	} {
		err := config.Load(path, &file{})
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAHugeFileIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "huge.yml")
	err := os.WriteFile(path, bytes.Repeat([]byte("# padding\n"), 200_000), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	err = config.Load(path, &file{})
	if err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestATargetThatIsNoPointerToAStructIsTheProgrammersMistake(t *testing.T) {
	t.Parallel()
	var told *config.Error
	for _, into := range []any{nil, file{}, new(int), (*file)(nil), new(struct{ C chan int }), new(struct {
		A, B int `yaml:"x"`
	})} {
		err := config.Parse("a.yml", []byte("c: 1\n"), into)
		if err == nil || errors.As(err, &told) {
			t.Errorf("%T: %v", into, err)
		}
	}
}

func TestAtNamesAPathThroughSeveralSections(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such zone")
	err := config.At("sources[2]", "%w", config.At("timezone", "cannot be used: %w", cause))
	if !errors.Is(err, cause) || err.Error() != "sources[2]: timezone: cannot be used: no such zone" {
		t.Errorf("got %v", err)
	}
}

func TestAnExampleIsAskedWhichKeysItDoesNotShow(t *testing.T) {
	t.Parallel()
	text := `
listen: a
public_url: b
redis: {url: c, embedded: false, dir: d}
callers: []
labels: {}
codes: {}
extra: {}
level: low
optional: {rate: 1}
admin_token_file: good.secret
sources:
  - {id: napa, timezone: UTC, name: Napa, readonly: false, auth: {kind: none, token: abcd}}
  - {id: sonoma, timezone: UTC, lag: 0, limits: {rate: 1, concurrency: 1}}
`
	got, err := config.Unwritten("testdata/inline.yml", []byte(text), &file{})
	want := []string{
		"redis.pool", "callers[].id", "callers[].trusted", "sources[].prefetch", "sources[].auth.client_secret", "optional.concurrency", "store",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	_, err = config.Unwritten("a.yml", []byte("lisen: a\n"), &file{})
	if err == nil {
		t.Error("a wrong example was taken")
	}
}
