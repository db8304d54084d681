// Package redistest gives tests a real Redis.
//
// A test that needs one is skipped where no redis-server is installed, unless
// the environment says SLOTGATE_NEED_REDIS=1: then it fails, so that a machine
// that should have one cannot pass without.
package redistest

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"

	"slotgate/cache/embedded"
)

// NeedRedis is the variable that turns a missing redis-server into a failure.
const NeedRedis = "SLOTGATE_NEED_REDIS"

// Start runs a redis-server of the test's own, empty and without persistence,
// and ends it with the test.
func Start(t testing.TB) *embedded.Server {
	t.Helper()
	need(t)
	return run(t, embedded.Options{})
}

// StartWith is Start with options of the test's own: a folder to keep data in, a
// log, further arguments.
func StartWith(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	need(t)
	return run(t, o)
}

// StartInProcess runs the stand-in that takes the place of redis-server where
// there is none.
func StartInProcess(t testing.TB) *embedded.Server {
	t.Helper()
	return run(t, embedded.Options{InProcess: true})
}

// StartCluster runs a redis-server in cluster mode, alone, and gives its URL.
// The caller hands it all slots.
func StartCluster(t testing.TB) (url string) {
	t.Helper()
	need(t)
	port := strconv.Itoa(freePort(t))
	run(t, embedded.Options{Args: []string{"--port", port, "--bind", "127.0.0.1", "--cluster-enabled", "yes"}})
	return "redis://127.0.0.1:" + port
}

func run(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("no Redis for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("the test's Redis does not end: %v", err)
		}
	})
	return server
}

func need(t testing.TB) {
	t.Helper()
	if embedded.Find() != "" {
		return
	}
	message := fmt.Sprintf("no redis-server on the PATH (apt-get install redis-server); %s=1 makes this a failure", NeedRedis)
	if os.Getenv(NeedRedis) == "1" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// freePort leaves room for the cluster bus, which takes the port 10000 above.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port < 50000 {
			return port
		}
	}
	t.Fatal("no free port below 50000")
	return 0
}
