package upstream

import (
	"errors"
	"regexp"
	"strings"
)

// What Bundle.total of a source is worth (quirks.total).
const (
	TotalExact    = "exact"    // an answer is whole only when it has that many
	TotalEstimate = "estimate" // it tells whether more pages may follow, no more
	TotalNone     = "none"     // it is not looked at
)

// Quirks bend a dialect to what one EHR really does. The zero value is a server
// that keeps to the specifications.
type Quirks struct {
	// ScheduleRef is a regular expression over a slot's schedule reference; its
	// first group is the id of the schedule that exists. A reference that it
	// does not match is taken as it is.
	ScheduleRef string `yaml:"schedule_ref"`
	// NextOrigin: paging links that name another origin (a server behind a
	// gateway that does not know its own name) are asked at our base's origin,
	// by their path and query. Without it they are refused.
	NextOrigin bool `yaml:"next_origin"`
	// Total is what Bundle.total is worth: exact, estimate or none; default: exact.
	Total string `yaml:"total"`
	// PageSize is the _count that we ask for; default: 500 (a server may count
	// included resources against a limit of 1000 and refuse more); -1: none,
	// the server then pages as it likes.
	PageSize int `yaml:"page_size"`
	// MaxDays is the longest period that one call may ask for, in days;
	// 0: any. A fetch of more days makes more calls.
	MaxDays int `yaml:"max_days"`
	// NoPrefetch: an argonaut source without Slot/$prefetch; Appointment/$find
	// is asked per day. Without it the client finds out by itself.
	NoPrefetch bool `yaml:"no_prefetch"`
	// OffsetPaging is auto, always or never: whether pages without a next link
	// are followed by _offset. auto (the default) does where total or a full
	// page says that there is more.
	OffsetPaging string `yaml:"offset_paging"`
	// DateOnly: periods are asked as dates, a day wider on both sides, since
	// the server does not understand instants in a search.
	DateOnly bool `yaml:"date_only"`
	// Include are the _include values of a slot search; `iterate:` in front
	// makes _include:iterate (R4) or _include:recurse (STU3). Default:
	// [Slot:schedule]; [] for none.
	Include []string `yaml:"include"`
	// StatusSearch is whether a slot search says status=free; default: true.
	// Without it the others are left out after reading.
	StatusSearch *bool `yaml:"status_search"`
	// Deletions is what becomes of a slot that is deleted, or no longer free: silent
	// (nothing may tell of it) or marked (it stays, with another status and a later
	// lastUpdated); default: silent. Where it is marked, what changed is asked for
	// (_lastUpdated) between looks at the whole. Dialect slots only.
	Deletions string `yaml:"deletions"`
	// Params are sent with every request for slots, such as the service-type
	// that an Oracle-like server demands.
	Params map[string]string `yaml:"params"`
	// Writes bend how the source is held, booked and cancelled at.
	Writes `yaml:",inline"`
	// Files bend how published files are read (dialect links).
	Files `yaml:",inline"`
	// Accept is the format asked for: json or xml; default: json. Both are read.
	Accept string `yaml:"accept"`
}

// SetDefaults fills in what was not given.
func (q *Quirks) SetDefaults() {
	setDefault(&q.Total, TotalExact)
	setDefault(&q.PageSize, 500)
	setDefault(&q.OffsetPaging, "auto")
	setDefault(&q.Accept, "json")
	setDefault(&q.Deletions, deletionsSilent)
	if q.Include == nil {
		q.Include = []string{"Slot:schedule"}
	}
	q.Writes.SetDefaults()
	q.Files.SetDefaults()
	if q.StatusSearch == nil {
		q.StatusSearch = new(bool)
		*q.StatusSearch = true
	}
}

var includeValue = regexp.MustCompile(`^(iterate:)?[A-Za-z]+:[A-Za-z-]+(:[A-Za-z]+)?$`)

// Validate tells everything that is wrong. Each message begins with the key.
func (q *Quirks) Validate() error {
	errs := []error{
		q.checkScheduleRef(),
		need("total", oneOf(q.Total, TotalExact, TotalEstimate, TotalNone), "is %q; write exact, estimate or none", q.Total),
		need("page_size", q.PageSize == -1 || q.PageSize >= 1 && q.PageSize <= 10_000, "is %d; write 1 to 10000, or -1 for the server's own", q.PageSize),
		need("max_days", q.MaxDays >= 0, "is %d; write 0 or more", q.MaxDays),
		need("offset_paging", oneOf(q.OffsetPaging, "auto", "always", "never"), "is %q; write auto, always or never", q.OffsetPaging),
		need("deletions", oneOf(q.Deletions, deletionsSilent, deletionsMarked), "is %q; write silent, or marked where no slot goes without a trace", q.Deletions),
		q.Writes.Validate(),
		q.Files.Validate(),
		need("accept", oneOf(q.Accept, "json", "xml"), "is %q; write json or xml", q.Accept),
	}
	for _, value := range q.Include {
		errs = append(errs, need("include", includeValue.MatchString(value), "%q is no _include; write such as Slot:schedule or iterate:Schedule:actor", value))
	}
	for name := range q.Params {
		errs = append(errs, need("params", strings.TrimSpace(name) != "" && !oneOf(name, "start", "end", "startTime", "endTime"), "%q is set by us; remove it", name))
	}
	return errors.Join(errs...)
}

func (q *Quirks) checkScheduleRef() error {
	if q.ScheduleRef == "" {
		return nil
	}
	re, err := regexp.Compile(q.ScheduleRef)
	if err != nil {
		return errors.New(`schedule_ref: is no regular expression (RE2); write one such as '(sched-\d+)$'`)
	}
	return need("schedule_ref", re.NumSubexp() >= 1, `has no group; put the schedule's id into one, such as '(sched-\d+)$'`)
}

func oneOf(value string, allowed ...string) bool {
	for _, one := range allowed {
		if value == one {
			return true
		}
	}
	return false
}
