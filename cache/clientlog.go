package cache

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogClientTo sends what go-redis has to say to the log, at level debug: by
// itself it writes to standard error, a line for every connection that it cannot
// make. The setting holds for the process. Call it once, before Open.
func LogClientTo(log *slog.Logger) { redis.SetLogger(clientLog{log}) }

type clientLog struct{ log *slog.Logger }

// Printf is what go-redis calls.
func (l clientLog) Printf(ctx context.Context, format string, args ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "go-redis", "says", fmt.Sprintf(format, args...))
	}
}
