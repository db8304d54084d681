package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"slotgate/config/testenv"
)

// readmeBlocks are the blocks of shell in the README.
func readmeBlocks(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, found := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, found[1])
	}
	return blocks
}

// shell runs a script that stops at the first failure; curl fails at a refusal.
func shell(t *testing.T, script string) string {
	t.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on the PATH", tool)
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-eo", "pipefail", "-c", strings.ReplaceAll(script, "curl -s ", "curl -sS --fail-with-body "))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s\n%.2000s", err, script, out)
	}
	return string(out)
}

// What the README and the demo tell to type works as it stands.
func TestTheLinesOfTheReadmeAndOfTheDemoWork(t *testing.T) {
	p, gateway, admin := startDemo(t)
	here := strings.NewReplacer("http://127.0.0.1:8080", gateway, "http://127.0.0.1:9090", admin)
	walked := 0
	for _, block := range readmeBlocks(t) {
		if !strings.Contains(block, "curl ") {
			continue
		}
		walked++
		out := shell(t, here.Replace(block))
		if strings.Contains(out, `"total":0,`) || strings.Contains(block, "$book") && !strings.Contains(out, `"status":"cancelled"`) {
			t.Errorf("%s\nanswers %.2000s", block, out)
		}
	}
	if walked < 5 {
		t.Errorf("%d blocks of the README ask something", walked)
	}
	p.saw(t, "Ctrl-C")
	lines := regexp.MustCompile(`(?m)^  (curl .*)$`).FindAllStringSubmatch(p.out.String(), -1)
	if len(lines) < 5 {
		t.Errorf("%d lines of the demo", len(lines))
	}
	for _, line := range lines {
		shell(t, line[1])
	}
}

// The first configuration of the README is right.
func TestTheFirstConfigurationOfTheReadmeIsRight(t *testing.T) {
	for _, block := range readmeBlocks(t) {
		_, after, shown := strings.Cut(block, "<<'EOF'\n")
		text, _, _ := strings.Cut(after, "EOF\n")
		if !shown {
			continue
		}
		f, err := loadFile(write(t, t.TempDir(), "slotgate.yaml", text))
		if err != nil || len(f.Sources) != 1 {
			t.Errorf("%v: %s", err, text)
		}
		return
	}
	t.Error("the README shows no configuration")
}
