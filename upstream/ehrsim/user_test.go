package ehrsim

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAUsersTokenOpensOnePatient(t *testing.T) {
	t.Parallel()
	for _, dialect := range []Dialect{Argonaut, Slots} {
		w := start(t, Options{Dialect: dialect, RequireBearer: "system", Practitioners: 2, Users: []User{
			{Token: "ann", Patient: "pat-1"}, {Token: "late", Patient: "pat-1", Until: monday}, {Token: "looks", Patient: "pat-1", Reads: true},
		}})
		as := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
		free := w.srv.Slots("free")
		mine, err := w.srv.TakeSlot(free[0].ID, "Patient/pat-1", false)
		if err != nil {
			t.Fatal(err)
		}
		other, err := w.srv.TakeSlot(free[1].ID, "Patient/pat-2", false)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]int{
			"/metadata": 200, "/Patient/pat-1": 200, "/Patient/pat-2": 403, "/Patient": 200, "/Appointment": 200,
			"/Appointment?patient=pat-1": 200, "/Appointment?patient=Patient/pat-2": 403, "/Appointment/" + mine.ID: 200,
			"/Appointment/" + other.ID: 403, "/Slot": 403, "/Slot/" + free[2].ID: 403, "/Coverage": 403, "/": 403, "/Practitioner": 403,
		} {
			if a := w.get(path, as("ann")...); a.StatusCode != want {
				t.Errorf("%s %s: %d, want %d", dialect, path, a.StatusCode, want)
			}
		}
		for _, path := range []string{"/Patient", "/Appointment"} {
			if text := w.get(path, as("ann")...).text; strings.Contains(text, "pat-2") || !strings.Contains(text, "pat-1") {
				t.Errorf("%s %s: %s", dialect, path, text)
			}
		}
		for token, want := range map[string]int{"late": 401, "nobody": 401, "looks": 200, "system": 200} {
			if a := w.get("/Patient/pat-1", as(token)...); a.StatusCode != want {
				t.Errorf("%s as %s: %d", dialect, token, a.StatusCode)
			}
		}
		for _, c := range []struct {
			id, token string
			want      int
		}{{other.ID, "ann", 403}, {mine.ID, "looks", 403}, {mine.ID, "ann", 200}} {
			if a := w.cancelBy(c.id, as(c.token)...); a.StatusCode != c.want {
				t.Errorf("%s cancel of %s as %s: %d", dialect, c.id, c.token, a.StatusCode)
			}
		}
		if seen := w.srv.Carried("ann"); len(seen) < 10 || seen[0].Bearer == "" || strings.Contains(seen[0].Bearer, "ann") {
			t.Errorf("%d requests carried it", len(seen))
		}
		if len(w.srv.Carried("never")) != 0 {
			t.Error("a token that nobody sent was seen")
		}
	}
}

func TestTheControlAPIGivesAndTakesTokens(t *testing.T) {
	t.Parallel()
	w := start(t, Options{RequireBearer: "system", Practitioners: 2})
	if out := w.control(http.MethodPost, "users", `{"token":"t1","patient":"pat-3"}`); strings.Contains(strings.ToLower(strings.Join(keysOf(out), " ")), "t1") {
		t.Fatalf("%v", out)
	}
	if a := w.get("/Patient/pat-3", "Authorization", "Bearer t1"); a.StatusCode != 200 {
		t.Fatalf("%d", a.StatusCode)
	}
	if users := w.srv.Users(); len(users) != 1 || users[0].Token != "" || users[0].Patient != "pat-3" {
		t.Fatalf("%+v", users)
	}
	w.control(http.MethodDelete, "users", "")
	if a := w.get("/Patient/pat-3", "Authorization", "Bearer t1"); a.StatusCode != 401 {
		t.Fatalf("%d", a.StatusCode)
	}
	for _, body := range []string{`{}`, `{"token":"x"}`, `{"patient":"x"}`, `{"token":"x","patient":"y","shoe":1}`, `[`} {
		a, err := w.do(t.Context(), http.MethodPost, controlPath+"users", body)
		if err != nil || a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %v", body, a.StatusCode, err)
		}
	}
	if err := w.srv.AddUser(User{Token: "x", Patient: "pat-1", Until: w.srv.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
}

func keysOf(m map[string]any) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}
