package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// TestLaw10TheCanaryIsSeenNowhere: a patient walks every way there is, is
// refused in every way, meets every fault of an EHR, gateways that die and a
// Redis that is lost. Nothing of the patient, the caller's session or its keys
// stands anywhere but in sealed records, in answers to the caller, and at the
// EHR. In the end it is planted everywhere, and found.
func TestLaw10TheCanaryIsSeenNowhere(t *testing.T) {
	t.Parallel()
	a := newAviary(t)
	slots := map[string][]slot{}
	for _, c := range aviaryClinics {
		slots[c.id] = a.slots(t, c.id, 60)
	}
	take := func(source string, count int) []slot {
		given := slots[source][:count]
		slots[source] = slots[source][count:]
		return given
	}
	var walking sync.WaitGroup
	for i, c := range aviaryClinics[:4] {
		for k, base := range []string{"r4", "stu3"} {
			g := guest{a: a, t: t, node: k, base: base, xml: (i+k)%2 == 1, session: fmt.Sprintf("%s-%s-%s", canarySession, c.id, base)}
			six, own := take(c.id, 6), take(c.id, 1)[0]
			walking.Go(func() {
				g.walk(six)
				g.elsewhere(own)
			})
		}
	}
	walking.Wait()
	a.look(t)
	for i, c := range aviaryClinics[:4] {
		g := guest{a: a, t: t, node: i % 2, base: []string{"r4", "stu3"}[i%2], xml: i > 1, session: fmt.Sprintf("%s-refused-%d", canarySession, i)}
		three, unheld := take(c.id, 3), take("no", 1)[0]
		var faults []ehrsim.Fault
		for k, fault := range canaryFaults() {
			if k%4 == i {
				faults = append(faults, fault)
			}
		}
		more := take(c.id, len(faults))
		walking.Go(func() {
			g.refused(three, unheld)
			g.session += "-faults"
			g.atTheEHR(more, faults, 1000*i)
		})
	}
	walking.Wait()
	a.look(t)
	last := guest{a: a, t: t, base: "r4", session: canarySession + "-at-the-end"}
	for i, point := range []string{"journey.register", "book.answered", "cancel.intent"} {
		last.dies(point, take(aviaryClinics[i].id, 1)[0])
	}
	last.withoutRedis(take("sl", 2))
	a.look(t)
	a.dump(t)
	a.check(t)
	t.Run("what is planted is found", a.isFoundWherePlanted)
}

// dies books what is held, and cancels, at a gateway that dies at a point, and
// sees what the others make of it.
func (g guest) dies(point string, at slot) {
	g.t.Helper()
	me := g.want(is(200, 201), http.MethodPost, "/Patient", g.person(7)).id
	g.want(is(200), http.MethodPost, "/Appointment/"+at.offer+"/$hold", "")
	address, died := g.a.kill.mortal(g.t, point)
	g.dying = address
	body := g.parameters("patient-id", me, "comment", canaryComment)
	g.ask(http.MethodPost, "/Appointment/"+at.offer+"/$book", body)
	g.ask(http.MethodPatch, "/Appointment/"+at.offer, fmt.Sprintf(cancelPatch, "booked"), "Content-Type", patchJSON)
	died()
	g.dying = ""
	g.want(is(200, 202, 404), http.MethodGet, "/Appointment/"+at.offer, "")
	g.a.look(g.t)
}

// withoutRedis is refused while Redis is away, and while what was in it is lost.
func (g guest) withoutRedis(slots []slot) {
	g.t.Helper()
	me := g.want(is(200, 201), http.MethodPost, "/Patient", g.person(8)).id
	body := g.parameters("patient-id", me, "comment", canaryComment)
	everything := func() {
		var asking sync.WaitGroup
		ask := func(method, path, body string, header ...string) {
			asking.Go(func() { g.ask(method, path, body, header...) })
		}
		for _, at := range slots {
			ask(http.MethodPost, "/Appointment/"+at.offer+"/$hold", body)
			ask(http.MethodPost, "/Appointment/"+at.offer+"/$book", body, "Idempotency-Key", canaryKey)
			ask(http.MethodGet, "/Appointment/"+at.offer, "")
		}
		ask(http.MethodPost, "/Patient", g.person(9), "Idempotency-Key", canaryKey)
		ask(http.MethodGet, "/Patient?family="+canaryFamily, "")
		ask(http.MethodGet, "/Patient/"+me, "")
		ask(http.MethodGet, "/Appointment?patient="+me, "")
		ask(http.MethodDelete, "/Patient/"+me, "")
		asking.Wait()
	}
	if err := g.a.redis.Kill(); err != nil {
		g.t.Fatal(err)
	}
	everything()
	g.a.look(g.t)
	if err := g.a.redis.Restart(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	g.a.rebuilt(g.t)
	g.a.dump(g.t) // before it is gone
	c := g.a.redisClient(g.t)
	defer func() { _ = c.Close() }()
	if err := c.FlushAll(g.t.Context()).Err(); err != nil {
		g.t.Fatal(err)
	}
	everything()
	g.a.rebuilt(g.t)
	everything()
}

// redisClient speaks to the house's Redis.
func (a *aviary) redisClient(t *testing.T) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(a.redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	return redis.NewClient(o)
}

// check wants every place to have something, none of it the canary's, and every
// status of the contract to have been answered.
func (a *aviary) check(t *testing.T) {
	t.Helper()
	places := a.places()
	slices.SortFunc(places, func(a, b place) int { return strings.Compare(a.name, b.name) })
	for _, p := range places {
		t.Logf("%s: %d bytes", p.name, len(p.data))
		// Redis is terse, and who dies at once may have said nothing.
		if !strings.HasPrefix(p.name, "log of Redis") && !strings.HasPrefix(p.name, "log of gateway that died") && len(p.data) < 100 {
			t.Errorf("%s: there is nothing to look at: %s", p.name, p.data)
		}
	}
	for _, l := range leaks(places) {
		t.Error(l)
	}
	a.walkedAll(t)
	for _, status := range []int{
		200, 201, 202, 204, 400, 401, 403, 404, 405, 406, 409, 410, 412, 413, 415, 422, 429, 431, 501, 502, 503, 504,
	} {
		if !a.seen[status] {
			t.Errorf("nobody was answered %d", status)
		}
	}
}

// walkedAll wants every route of the gateway to have been asked for: one that
// comes anew is to be walked, too.
func (a *aviary) walkedAll(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	log := a.told["log of gateway 0"].String() + a.told["log of gateway 1"].String()
	a.mu.Unlock()
	for _, route := range a.routes() {
		if !strings.Contains(log, fmt.Sprintf(`"method":%q,"route":%q`, route.Method, route.Path)) {
			t.Errorf("nobody walked %s %s", route.Method, route.Path)
		}
	}
}

// isFoundWherePlanted puts the canary into each place and looks again.
func (a *aviary) isFoundWherePlanted(t *testing.T) {
	n := a.nodes[0]
	for _, node := range a.nodes {
		node.log.Debug("planted", "who", canaryFamily)
	}
	planted := prometheus.NewGauge(prometheus.GaugeOpts{Name: "planted", Help: "For the test.", ConstLabels: prometheus.Labels{"who": canaryMail}})
	n.metrics.MustRegister(planted)
	n.current.admin.SetSources([]scheduling.Source{{ID: "sl", Name: canaryFamily}})
	c := a.redisClient(t)
	defer func() { _ = c.Close() }()
	if err := c.XAdd(t.Context(), &redis.XAddArgs{Stream: "slotgate:planted", Values: []string{"who", canaryBirth}}).Err(); err != nil {
		t.Fatal(err)
	}
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Warning", canaryPhone)
		w.WriteHeader(map[string]int{http.MethodGet: 200, http.MethodPost: 422}[r.Method])
		_, _ = w.Write([]byte(`{"resourceType":"OperationOutcome","issue":[{"diagnostics":"` + canaryLine + `"}]}`))
	}))
	defer echo.Close()
	g := guest{a: a, t: t, base: "r4", session: canarySession, dying: echo.URL}
	g.ask(http.MethodGet, "/", "")
	g.ask(http.MethodPost, "/", "")
	res, err := a.client.Get(a.bases["sl"] + "/Patient?identifier=" + canaryID)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	for _, said := range append(a.kill.logs, &redisWords) {
		_, _ = said.Write([]byte(canaryComment))
	}
	a.look(t)
	a.dump(t)
	found := map[string]bool{"log of Redis": true} // its own words alone
	for _, l := range leaks(a.places()) {
		found[l.place] = true
	}
	for _, p := range a.places() {
		if !found[p.name] {
			t.Errorf("%s: what was planted is not found", p.name)
		}
	}
}
