package embedded_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
)

// parentEnv makes the test binary play the parent that is killed.
const parentEnv = "SLOTGATE_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentEnv) != "" {
		server, err := embedded.Start(context.Background(), embedded.Options{})
		if err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		fmt.Println(strings.TrimPrefix(server.URL(), "unix://"))
		select {}
	}
	// The probe of go-redis for a server that is gone sleeps a second, also when its pool is closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

func client(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func each(t *testing.T, f func(t *testing.T, s *embedded.Server)) {
	t.Run("redis-server", func(t *testing.T) { t.Parallel(); f(t, redistest.Start(t)) })
	t.Run("in process", func(t *testing.T) { t.Parallel(); f(t, redistest.StartInProcess(t)) })
}

func TestARestartedServerIsEmptyAndAtTheSameAddress(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *embedded.Server) {
		c := client(t, s.URL())
		if err := c.Set(t.Context(), "a", "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Get(t.Context(), "a").Err(); err == nil {
			t.Fatal("a killed server answers")
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Get(t.Context(), "a").Err(); !errors.Is(err, redis.Nil) {
			t.Fatalf("want an empty server, got %v", err)
		}
	})
}

func TestKeysExpireByThemselves(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *embedded.Server) {
		c := client(t, s.URL())
		if err := c.Set(t.Context(), "a", "1", 50*time.Millisecond).Err(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(2 * time.Minute); ; {
			if errors.Is(c.Get(t.Context(), "a").Err(), redis.Nil) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("the key never expires")
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func TestClosingTwiceIsHarmlessAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *embedded.Server) {
		socket := strings.TrimPrefix(s.URL(), "unix://")
		for range 2 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(filepath.Dir(socket)); s.Real() && !os.IsNotExist(err) {
			t.Fatalf("the temporary folder is still there: %v", err)
		}
	})
}

func TestAFolderKeepsDataOverACloseAndTakesOneServer(t *testing.T) {
	t.Parallel()
	redistest.Start(t) // skips where there is none
	dir := filepath.Join(t.TempDir(), "new", "folder")
	open := func() *embedded.Server {
		s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	s := open()
	if err := client(t, s.URL()).Set(t.Context(), "a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), embedded.Options{Dir: dir}); err == nil {
		t.Fatal("two servers share a folder")
	}
	_ = s.Close()
	if got := client(t, open().URL()).Get(t.Context(), "a").Val(); got != "1" {
		t.Fatalf("want the data of before, got %q", got)
	}
}

func TestKeepingDataWithoutARedisServerIsRefused(t *testing.T) {
	t.Parallel()
	_, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), InProcess: true})
	if !errors.Is(err, embedded.ErrNoServer) {
		t.Fatalf("want ErrNoServer, got %v", err)
	}
}

func TestAServerThatCannotStartSaysSo(t *testing.T) {
	t.Parallel()
	redistest.Start(t)
	_, err := embedded.Start(t.Context(), embedded.Options{Args: []string{"--no-such-setting", "1"}})
	if err == nil || !strings.Contains(err.Error(), "ended at once") {
		t.Fatalf("want an error that says that it ended, got %v", err)
	}
}

func TestTheChildEndsWhenItsParentIsKilled(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("needs /proc")
	}
	redistest.Start(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	socket, _ := bufio.NewReader(out).ReadString('\n')
	socket = strings.TrimSpace(socket)
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(socket)) })
	c := client(t, "unix://"+socket)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatalf("the parent's server does not answer: %v", err)
	}
	pid := childOf(t, c)
	_ = parent.Process.Signal(syscall.SIGKILL)
	_ = parent.Wait()
	for deadline := time.Now().Add(2 * time.Minute); running(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("redis-server %d outlives its parent", pid)
		}
	}
}

func childOf(t *testing.T, c *redis.Client) int {
	t.Helper()
	info := c.Info(t.Context(), "server").Val()
	_, rest, _ := strings.Cut(info, "process_id:")
	pid, err := strconv.Atoi(strings.TrimSpace(rest[:strings.IndexByte(rest, '\n')]))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// running tells whether the process does anything still: a zombie does not.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return len(state) > 0 && state[0] != 'Z'
}
