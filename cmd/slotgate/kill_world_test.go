package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// By these the test binary runs itself again, as a gateway that kills itself.
const (
	mortalPoint  = "SLOTGATE_TEST_KILL_AT"
	mortalConfig = "SLOTGATE_TEST_CONFIG"
)

// redisWords is what go-redis says, which has one logger for the whole process.
var redisWords screen

func TestMain(m *testing.M) {
	if point := os.Getenv(mortalPoint); point != "" {
		if err := liveUntil(point, os.Getenv(mortalConfig)); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		os.Exit(exitOK)
	}
	if spec := os.Getenv(regionEnv); spec != "" {
		if err := serveRegion(spec); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		os.Exit(exitOK)
	}
	cache.LogClientTo(debugLogger(&redisWords))
	// Those that die wait for deadlines, not for a CPU. -parallel goes before.
	_ = flag.Set("test.parallel", "16")
	os.Exit(m.Run())
}

// liveUntil is a gateway that dies by SIGKILL at a named point. It ends with its
// standard input, too: not to outlive the test.
func liveUntil(point, config string) error {
	f, err := loadFile(config)
	if err != nil {
		return err
	}
	f.Booking.Checkpoint = func(name string) {
		if name == point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // not one step more
		}
	}
	log := debugLogger(os.Stderr)
	cache.LogClientTo(log)
	n, err := startNode(context.Background(), f, role{gateway: true}, log)
	if err != nil {
		return err
	}
	fmt.Println("gateway", n.public.url())
	_, err = io.Copy(io.Discard, os.Stdin)
	n.stop()
	return err
}

// killWorld is a Redis, an EHR, and a worker that reads it; gateways come and go.
type killWorld struct {
	t      *testing.T
	sim    *ehrsim.Server
	config string
	mu     sync.Mutex
	offers []killOffer // not given to a case yet
	logs   []*screen   // of the gateways that are to die
}

// killOffer is an offer and the slot at the EHR that it is of.
type killOffer struct {
	id, ours, slot string
	start          time.Time
}

// killSlots is more than all cases of a world need.
const killSlots = 70

const killKey = "the key of the booking site"

func newKillWorld(t *testing.T, so ehrsim.Options, lease time.Duration, source string) *killWorld {
	t.Helper()
	so.Practitioners, so.Days, so.Zone, so.RenewHolds = 1, 7, "UTC", true
	sim, base := simulate(t, so)
	night := sim.Now().Truncate(24 * time.Hour).Add(72 * time.Hour)
	for i := range killSlots { // at times that no other slot has
		at := night.Add(time.Duration(1+6*i) * time.Minute)
		if _, err := sim.AddSlot(ehrsim.Slot{Schedule: sim.Slots()[0].Schedule, Start: at, End: at.Add(5 * time.Minute), Status: "free"}); err != nil {
			t.Fatal(err)
		}
	}
	times, inside := strings.CutPrefix(source, "booking: ")
	if inside { // what is to be added to the times of booking
		times, source = ", "+times, ""
	} else {
		times = ""
	}
	digest := sha256.Sum256([]byte(killKey))
	secret := base64.StdEncoding.EncodeToString(make([]byte, 32))
	text := fmt.Sprintf(`
listen: 127.0.0.1:0
admin: 127.0.0.1:0
redis: {url: %q}
vault: {keys: [{id: k, key: %q}]}
callers: [{id: site, key_sha256: %s, trusted: [ehr]}]
booking: {secret: %q, holds_unnamed: 1000, margin: 300ms, settle_every: 50ms, settle_lease: %v, look_every: 200ms, look_max: 500ms, wait_running: 100ms}
sources:
  - {id: ehr, base: %q, dialect: %s, fhir: %s, timezone: UTC, prefetch: {cron: "@every 1s"},
     limits: {rate: 5000, concurrency: 100}, booking: {call_timeout: 2s, read_timeout: 1s, settle: 4s%s}%s}
`, redistest.Start(t).URL(), secret, hex.EncodeToString(digest[:]), secret, lease, base, so.Dialect, so.FHIR, times, source)
	w := &killWorld{t: t, sim: sim, config: write(t, t.TempDir(), "slotgate.yaml", text)}
	w.start(t, role{prefetch: true})
	return w
}

// start runs a node in this process until the test ends, or until it is stopped.
func (w *killWorld) start(t *testing.T, r role) *node {
	t.Helper()
	f, err := loadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	n, err := startNode(context.WithoutCancel(t.Context()), f, r, newLogger(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n.life.Err() == nil {
			n.stop()
		}
	})
	return n
}

// mortal starts a gateway as a process of its own that dies at a point. died
// waits for that.
func (w *killWorld) mortal(t *testing.T, point string) (gateway string, died func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), mortalPoint+"="+point, mortalConfig+"="+w.config)
	log := &screen{}
	cmd.Stderr = log
	w.mu.Lock()
	w.logs = append(w.logs, log)
	w.mu.Unlock()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	gateway, _ = strings.CutPrefix(strings.TrimSpace(line), "gateway ")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return gateway, func() {
		t.Helper()
		select {
		case <-ended:
		case <-time.After(2 * time.Minute):
			_ = stdin.Close()
			<-ended
		}
		status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !status.Signaled() || status.Signal() != syscall.SIGKILL {
			t.Fatalf("the gateway did not die at %s: %v: %.3000s", point, cmd.ProcessState, log.String())
		}
	}
}

// offer gives an offer that no other case has.
func (w *killWorld) offer(t *testing.T, gateway string) killOffer {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.offers == nil {
		w.readOffers(t, gateway)
	}
	given := w.offers[0]
	w.offers = w.offers[1:]
	return given
}

// readOffers joins what the gateway offers to the slots of the EHR that were
// added, by their times.
func (w *killWorld) readOffers(t *testing.T, gateway string) {
	t.Helper()
	at := map[time.Time]string{}
	for _, slot := range w.sim.Slots() {
		if slot.End.Sub(slot.Start) == 5*time.Minute {
			at[slot.Start.UTC()] = slot.ID
		}
	}
	v := visitor{gateway: gateway, session: "who-looks-for-all-offers"}
	eventually(t, func() error {
		w.offers = nil
		status, bundle, err := v.ask(t, http.MethodGet, "/$find?_count=1000", "", "")
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %w %.300s", status, err, bundle.text)
		}
		for _, entry := range bundle.Entry {
			start, err := time.Parse(time.RFC3339, entry.Resource.Start)
			if slot := at[start.UTC()]; err == nil && slot != "" {
				w.offers = append(w.offers, killOffer{entry.Resource.ID, entry.Resource.Slot[0].Reference, slot, start})
			}
		}
		if len(w.offers) < killSlots {
			return fmt.Errorf("%d of %d offers: %.500s", len(w.offers), killSlots, bundle.text)
		}
		return nil
	})
}

// visitor is one end user of a booking site.
type visitor struct{ gateway, session string }

// said is as much of an answer as these tests look at: an Appointment, or a
// Bundle of some.
type said struct {
	Status string
	Meta   struct{ Tag []struct{ Code string } }
	Entry  []struct {
		Resource struct {
			ResourceType, ID, Status, Start string
			Slot                            []struct{ Reference string }
		}
	}
	Issue []struct {
		Details struct{ Coding []struct{ Code string } }
	}
	text string
}

// tagged tells whether an Appointment carries a tag.
func (s said) tagged(code string) bool {
	for _, tag := range s.Meta.Tag {
		if tag.Code == code {
			return true
		}
	}
	return false
}

func (v visitor) ask(t *testing.T, method, path, kind, body string, header ...string) (status int, s said, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.gateway+"/fhir/r4/Appointment"+path, strings.NewReader(body))
	if err != nil {
		return 0, s, err
	}
	req.Header.Set("Authorization", "Bearer "+killKey)
	req.Header.Set("X-Slotgate-Session", v.session)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, s, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	s.text = string(data)
	return res.StatusCode, s, err
}

// do holds, books or cancels an offer for pat-1; old is what a booking replaces.
func (v visitor) do(t *testing.T, what, id, old, key string) (int, said, error) {
	t.Helper()
	header := []string{"Idempotency-Key", key}
	if key == "" {
		header = nil
	}
	if what == "cancel" {
		return v.ask(t, http.MethodPatch, "/"+id, "application/json-patch+json", `[{"op":"replace","path":"/status","value":"cancelled"}]`, header...)
	}
	more := ""
	if old != "" {
		more = `,{"name":"cancelled-appt-id","valueUri":"` + old + `"}`
	}
	body := `{"resourceType":"Parameters","parameter":[{"name":"patient-id","valueUri":"pat-1"}` + more + `]}`
	return v.ask(t, http.MethodPost, "/"+id+"/$"+what, "application/fhir+json", body, header...)
}

// offered tells whether a slot is found at a gateway.
func (v visitor) offered(t *testing.T, o killOffer) bool {
	t.Helper()
	from, to := o.start.UTC().Format(time.RFC3339), o.start.Add(time.Minute).UTC().Format(time.RFC3339)
	_, bundle, err := v.ask(t, http.MethodGet, "/$find?start="+url.QueryEscape(from)+"&end="+url.QueryEscape(to), "", "")
	if err != nil {
		return false
	}
	for _, entry := range bundle.Entry {
		if len(entry.Resource.Slot) > 0 && entry.Resource.Slot[0].Reference == o.ours {
			return true
		}
	}
	return false
}

// atEHR is what stands on a slot at the EHR: the statuses of its appointments
// for pat-1, and the slot's own.
func (w *killWorld) atEHR(slot string) string {
	var all []string
	for _, a := range w.sim.Appointments("pending", "booked") {
		if slices.Contains(a.Slots, slot) && slices.Contains(a.Patients, "Patient/pat-1") {
			all = append(all, a.Status)
		}
	}
	s, err := w.sim.Slot(slot)
	if err != nil {
		return err.Error()
	}
	return strings.Join(append(all, "on "+s.Status), " ")
}

// inBooks is the state of an entry once nothing about it is under way any more;
// an error says that something is.
func inBooks(t *testing.T, n *node, id string) (scheduling.EntryState, error) {
	t.Helper()
	e, err := n.keeper.books.Read(t.Context(), id)
	switch {
	case scheduling.CodeOf(err) == scheduling.UnknownID:
		return "", nil
	case err != nil:
		return "", err
	case e.State.InFlight(), e.State == scheduling.EntryDoubt, e.Reserve,
		e.State == scheduling.EntryBooked && e.Replaces != "" && !e.OldDone:
		return e.State, fmt.Errorf("%s is still %s", id, e.State)
	default:
		return e.State, nil
	}
}
