package booking_test

import (
	"testing"

	"go.uber.org/goleak"
)

// The probe of go-redis for a server that is gone sleeps a second, also when its pool is closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}
