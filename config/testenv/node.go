package testenv

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startTime is how long a script may take to listen. Medplum's server indexes all FHIR definitions first: two seconds on
// a quiet machine, and much more beside a race build on two cores.
const startTime = 90 * time.Second

// Node is the path of a Node that the packages of .ci/npm run on: 22.18 or later of 22, or 24.2 or later. The one on the
// PATH is taken when it will do, else the one that npm's package `node` brought.
func Node(t testing.TB) string {
	t.Helper()
	candidates := []string{filepath.Join(npm(t), "node_modules", ".bin", "node")}
	onPath, err := exec.LookPath("node")
	if err == nil {
		candidates = append([]string{onPath}, candidates...)
	}
	for _, path := range candidates {
		version, err := exec.CommandContext(t.Context(), path, "--version").Output()
		if err == nil && nodeWillDo(string(version)) {
			return path
		}
	}
	missing(t, "SLOTGATE_NEED_NODE", "no Node 22.18 or later, on the PATH or in .ci/npm: run `make node`")
	return ""
}

// nodeWillDo judges the output of node --version by what Medplum's packages ask for.
func nodeWillDo(version string) bool {
	var major, minor int
	n, err := fmt.Sscanf(strings.TrimSpace(version), "v%d.%d", &major, &minor)
	if err != nil || n != 2 {
		return false
	}
	return major == 22 && minor >= 18 || major == 24 && minor >= 2 || major > 24
}

func npm(t testing.TB) string {
	t.Helper()
	return filepath.Join(Root(t), ".ci", "npm")
}

// script makes the command of a script of .ci/npm. With the environment variable the script ends when its standard input
// does, so that it does not outlive a test process that was killed.
func script(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	node := Node(t)
	_, err := os.Stat(filepath.Join(npm(t), "node_modules", "@medplum", "fhir-router"))
	if err != nil {
		missing(t, "SLOTGATE_NEED_NODE", "the packages of .ci/npm are not installed: run `make node`")
	}
	cmd := exec.CommandContext(t.Context(), node, append([]string{filepath.Join(npm(t), name)}, args...)...)
	cmd.Env = append(os.Environ(), "UNTIL_STDIN_ENDS=1", "NO_PROXY=127.0.0.1", "NODE_OPTIONS=")
	return cmd
}

// RunNode runs a script of .ci/npm, such as client.mjs, to its end and gives what it printed. A script that fails, fails
// the test.
func RunNode(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := script(t, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.Bytes())
	}
	return out
}

// StartNode starts a script of .ci/npm that prints `listening URL`, and gives the URL once it does. The script is ended
// with the test.
func StartNode(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := script(t, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	err = cmd.Start()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	url := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		listen(stdout, url)
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
	})
	select {
	case u, ok := <-url:
		if !ok {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Fatalf("%s ended without listening:\n%s", name, stderr.Bytes())
		}
		return u
	case <-time.After(startTime):
		t.Fatalf("%s does not listen after %v", name, startTime)
	}
	return ""
}

// listen sends the URL that a script prints, and reads on to the end: a full pipe would stop the script.
func listen(stdout io.Reader, url chan<- string) {
	defer close(url)
	lines := bufio.NewScanner(stdout)
	for sent := false; lines.Scan(); {
		u, ok := strings.CutPrefix(lines.Text(), "listening ")
		if ok && !sent {
			url <- u
			sent = true
		}
	}
}
