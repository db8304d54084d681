package ehrsim

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// spoilBefore lets the faults strike that answer in the server's place, or
// never. It says whether the request is done with.
func (s *Server) spoilBefore(w http.ResponseWriter, rq *request) bool {
	if f, ok := rq.hits[FaultLatency]; ok && !pause(rq.http, f) {
		return true
	}
	for _, way := range []struct {
		kind FaultKind
		do   func(http.ResponseWriter, *request, Fault)
	}{
		{FaultCommitLate, s.commitLate},
		{FaultLost, s.hangUp},
		{FaultHang, s.hang},
		{FaultReset, reset},
		{FaultRefuse, s.spoilRefuse},
		{FaultStatus, s.spoilStatus},
		{FaultThrottle, s.throttle},
		{FaultThrottleText, s.throttle},
		{FaultHTML, loginPage},
		{FaultEmptyBody, s.emptyBody},
		{FaultHugeGzip, s.hugeGzip},
		{FaultCutGzip, s.cutGzip},
		{FaultEndlessJSON, s.endlessJSON},
		{FaultEcho, s.echo},
	} {
		if f, ok := rq.hits[way.kind]; ok {
			way.do(w, rq, f)
			return true
		}
	}
	return false
}

// pause waits for a fault's delay and says whether the client is still there.
func pause(r *http.Request, f Fault) bool {
	wait := time.Duration(f.Delay)
	if f.Jitter > 0 {
		wait += rand.N(time.Duration(f.Jitter))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// hang answers nothing until the client goes or the server stops.
func (s *Server) hang(w http.ResponseWriter, rq *request, f Fault) {
	select {
	case <-rq.http.Context().Done():
	case <-s.stopping:
	}
	reset(w, rq, f)
}

// reset closes the connection with a TCP reset where it can.
func reset(w http.ResponseWriter, _ *request, _ Fault) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_ = buffered.Flush() // what was written of an answer; the client may be gone
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func (s *Server) spoilStatus(w http.ResponseWriter, rq *request, f Fault) {
	setDefault(&f.Status, http.StatusInternalServerError)
	s.write(w, rq.http, f.Status, outcome("error", "exception", "BRP516E33: unexpected condition"), rq.hits)
}

// throttle tells the wait in a header, or as one large vendor does in
// diagnostics alone.
func (s *Server) throttle(w http.ResponseWriter, rq *request, f Fault) {
	setDefault(&f.RetryAfter, 1)
	seconds := strconv.Itoa(f.RetryAfter)
	text := "Too many requests"
	if f.Kind == FaultThrottle {
		w.Header().Set("Retry-After", seconds)
	} else {
		text = "User Rate Limit Exceeded, Try in another " + seconds + " seconds"
	}
	s.write(w, rq.http, http.StatusTooManyRequests, outcome("error", "throttled", text), rq.hits)
}

func loginPage(w http.ResponseWriter, _ *request, f Fault) {
	setDefault(&f.Status, http.StatusOK)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte("<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Scheduled maintenance</h1></body></html>"))
}

func (s *Server) emptyBody(w http.ResponseWriter, rq *request, _ Fault) {
	w.Header().Set("Content-Type", s.flavour.contentType(wantsXML(rq.http)))
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// hugeGzip sends a valid Bundle, blown up with blanks to Size bytes and packed
// to about a thousandth of that.
func (s *Server) hugeGzip(w http.ResponseWriter, rq *request, f Fault) {
	setDefault(&f.Size, 256<<20)
	w.Header().Set("Content-Type", s.flavour.contentType(false))
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(http.StatusOK)
	zip := gzip.NewWriter(w)
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	_, err := zip.Write([]byte(`{"resourceType":"Bundle","type":"searchset","total":0`))
	for left := f.Size; left > 0 && err == nil && rq.http.Context().Err() == nil; left -= int64(len(blanks)) {
		_, err = zip.Write(blanks[:min(left, int64(len(blanks)))])
	}
	_, _ = zip.Write([]byte(`}`))
	_ = zip.Close()
}

// cutGzip sends the beginning of a packed Bundle, as a proxy does that ran out of
// room: the transfer itself is whole.
func (s *Server) cutGzip(w http.ResponseWriter, _ *request, _ Fault) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(appendJSON(nil, s.bundle(0, nil, list{entry("", outcome("information", "informational", "half of this is missing"), "outcome")})))
	_ = zip.Close()
	head := w.Header()
	head.Set("Content-Type", s.flavour.contentType(false))
	head.Set("Content-Encoding", "gzip")
	head.Set("Content-Length", strconv.Itoa(packed.Len()/2))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(packed.Bytes()[:packed.Len()/2])
}

// endlessJSON sends entries until the client has had enough, or the server stops.
func (s *Server) endlessJSON(w http.ResponseWriter, rq *request, _ Fault) {
	w.Header().Set("Content-Type", s.flavour.contentType(false))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write([]byte(`{"resourceType":"Bundle","type":"searchset","entry":[{}`))
	more := bytes.Repeat([]byte(`,{"resource":{"resourceType":"Basic","id":"x"}}`), 1000)
	for err == nil && rq.http.Context().Err() == nil {
		select {
		case <-s.stopping:
			return
		default:
			_, err = w.Write(more)
		}
	}
}
