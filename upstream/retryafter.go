package upstream

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// longestPause bounds what a source may ask of us; some lock clients out for a
// quarter of an hour.
const longestPause = 15 * time.Minute

// Where servers without a Retry-After header put the wait:
// athenahealth writes "Try in another 844 seconds" into its OperationOutcome,
// Medplum sends RateLimit: "requests";r=0;t=42.
var (
	waitText   = regexp.MustCompile(`(?i)(?:try|retry)[^0-9"]{0,40}(\d{1,5})\s*sec`)
	waitHeader = regexp.MustCompile(`\br=0\b.*\bt=(\d{1,5})\b`)
)

// maxWaitText is how much of a body is searched for the wait.
const maxWaitText = 8 << 10

// retryAfter is how long the source asks us to wait, 0 where it does not.
func retryAfter(a *answer, now time.Time) time.Duration {
	wait := fromHeader(a.header, now)
	if wait == 0 && a.status == http.StatusTooManyRequests {
		wait = fromText(a)
	}
	return min(wait, longestPause)
}

// fromHeader reads Retry-After: seconds or a date (RFC 9110, 10.2.3).
func fromHeader(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 86400)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

func fromText(a *answer) time.Duration {
	found := waitHeader.FindStringSubmatch(a.header.Get("RateLimit"))
	if found == nil {
		found = waitText.FindStringSubmatch(string(a.body[:min(len(a.body), maxWaitText)]))
	}
	if found == nil {
		return 0
	}
	seconds, _ := strconv.Atoi(found[1]) // five digits
	return time.Duration(seconds) * time.Second
}
