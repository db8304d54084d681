package admin

import (
	"cmp"
	"math"
	"time"

	"slotgate/scheduling"
)

// Detail is what only the process that talks to a source knows of it.
type Detail struct {
	Paused    bool
	Breakers  Breakers
	Budget    map[string]any
	Pages     map[string]any // of slots: how many came, how many had not changed
	Exclusive string         // who keeps a slot from being booked twice: ehr or gateway
	// RefusedLinks is how often we did not go where the source sent us, by reason.
	RefusedLinks map[string]int
}

// Breakers are the states of a source's circuit breakers: closed, half-open or
// open, and unknown where another process talks to the source.
type Breakers struct {
	Read     string `json:"read"`
	Write    string `json:"write"`
	Prefetch string `json:"prefetch"`
}

// source is one entry of /api/sources, in the words of the contract.
type source struct {
	ID      scheduling.SourceID `json:"id"`
	Name    string              `json:"name"`
	Dialect string              `json:"dialect"`
	FHIR    scheduling.Release  `json:"fhir"`
	State   scheduling.State    `json:"state"`
	// Store: its slots are kept. Where not, each find asks it, and slots and
	// windows are 0.
	Store        bool               `json:"store"`
	Slots        int                `json:"slots"`
	Windows      int                `json:"windows"`
	LastSync     *time.Time         `json:"lastSourceSync"`
	AgeSeconds   *int64             `json:"ageSeconds"`
	Unusable     scheduling.Tally   `json:"unusable"`
	Unmapped     scheduling.Tally   `json:"unmapped"`
	Incomplete   bool               `json:"incomplete"`
	Emptied      bool               `json:"emptied"`
	Breakers     Breakers           `json:"breakers"`
	Budget       map[string]any     `json:"budget"`
	Pages        map[string]any     `json:"pages"`
	Exclusive    string             `json:"exclusive"`
	RefusedLinks map[string]int     `json:"refusedLinks"` // of the source, next links and redirects that were not followed, by reason
	Ages         map[string]tierAge `json:"ages"`
	StillThere   []chance           `json:"stillThere"`
	// Subscription is how we stand with what the source tells by itself: none,
	// asked, live, silent or refused.
	Subscription scheduling.SubscriptionState `json:"subscription"`
	LastError    *lastError                   `json:"lastError"`
	Failures     int                          `json:"failures"`
}

// lastError is a code and a time: the text of a source is never shown.
type lastError struct {
	Code scheduling.Code `json:"code"`
	At   time.Time       `json:"at"`
}

// tierAge is how old one part of the horizon is, in seconds.
type tierAge struct {
	Windows int     `json:"windows"`
	Checked *spread `json:"checked"` // since we looked
	Valid   *spread `json:"valid"`   // since it was true by the source's own time; null: it tells none
	Changed *spread `json:"changed"` // since the content changed
}

// chance is how many of the offers of one age were still there when the source
// was asked to hold or book them.
type chance struct {
	UpTo  int64   `json:"upToSeconds"` // since they were confirmed; 0: older than all others
	Share float64 `json:"share"`
	Asked float64 `json:"asked"` // from how many; what is long ago counts for less
}

func hundredth(f float64) float64 { return math.Round(100*f) / 100 }

type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

func spreadOf(s scheduling.Spread) *spread {
	if s.Count == 0 {
		return nil
	}
	return &spread{P50: inSeconds(s.P50), P99: inSeconds(s.P99)}
}

// inSeconds keeps a tenth: more nobody knows.
func inSeconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Millisecond)) / float64(time.Second)
}

// list has every configured source, also one that nothing is known of yet.
func (s *Server) list() []source {
	fresh := map[scheduling.SourceID]scheduling.Freshness{}
	for _, f := range s.deps.Replica.Sources() {
		fresh[f.Source] = f
	}
	configured := *s.sources.Load()
	list := make([]source, 0, len(configured))
	for _, src := range configured {
		list = append(list, s.source(src, fresh[src.ID]))
	}
	return list
}

func (s *Server) source(src scheduling.Source, f scheduling.Freshness) source {
	now := s.deps.Now()
	out := source{
		ID: src.ID, Name: src.Name, Dialect: src.Dialect, FHIR: src.Release,
		State: f.Status.State(src, now), Store: !src.Live, Slots: f.Slots, Windows: f.Windows,
		Unusable: orEmpty(f.Status.Unusable), Unmapped: orEmpty(f.Status.Unmapped),
		Incomplete: f.Status.Incomplete, Emptied: f.Status.Emptied, Failures: f.Status.Failures,
		Subscription: cmp.Or(f.Status.Subscription, "none"),
		Breakers:     Breakers{unknown, unknown, unknown}, Budget: map[string]any{}, Pages: map[string]any{}, Exclusive: unknown, RefusedLinks: map[string]int{},
	}
	if at := f.Status.LastSync; !at.IsZero() {
		at = at.UTC().Truncate(time.Second)
		age := int64(max(0, now.Sub(at)) / time.Second)
		out.LastSync, out.AgeSeconds = &at, &age
	}
	if f.Status.ErrorCode != "" {
		out.LastError = &lastError{f.Status.ErrorCode, f.Status.ErrorAt.UTC().Truncate(time.Second)}
	}
	out.Ages = map[string]tierAge{}
	if s.deps.Ages != nil {
		for _, tier := range s.deps.Ages(src.ID) {
			out.Ages[tier.Tier] = tierAge{tier.Windows, spreadOf(tier.Checked), spreadOf(tier.Valid), spreadOf(tier.Changed)}
		}
	}
	out.StillThere = []chance{}
	if s.deps.Chances != nil {
		for _, c := range s.deps.Chances(src.ID) {
			out.StillThere = append(out.StillThere, chance{int64(c.UpTo / time.Second), hundredth(c.Share()), hundredth(c.Asked)})
		}
	}
	s.detail(src.ID, &out)
	return out
}

const unknown = "unknown"

func (s *Server) detail(id scheduling.SourceID, out *source) {
	if s.deps.Detail == nil {
		return
	}
	d, ok := s.deps.Detail(id)
	if !ok {
		return
	}
	if d.Paused {
		out.State = scheduling.StatePaused
	}
	out.Breakers = Breakers{
		Read: cmp.Or(d.Breakers.Read, unknown), Write: cmp.Or(d.Breakers.Write, unknown), Prefetch: cmp.Or(d.Breakers.Prefetch, unknown),
	}
	if d.Budget != nil {
		out.Budget = d.Budget
	}
	if d.Pages != nil {
		out.Pages = d.Pages
	}
	if d.RefusedLinks != nil {
		out.RefusedLinks = d.RefusedLinks
	}
	out.Exclusive = cmp.Or(d.Exclusive, unknown)
}

func orEmpty(t scheduling.Tally) scheduling.Tally {
	if t == nil {
		return scheduling.Tally{}
	}
	return t
}
