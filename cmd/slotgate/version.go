package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

// Run prints one line a fact.
func (versionCommand) Run(con console) error {
	version, commit := buildVersion()
	_, err := fmt.Fprintf(con.out, "slotgate %s\ncommit   %s\ngo       %s\nfhir     4.0.1 (r4), 3.0.1 (stu3)\n",
		version, commit, runtime.Version())
	if err != nil {
		return fmt.Errorf("version: %w", err)
	}
	return nil
}

// buildVersion is what the Go toolchain stamped into the binary.
func buildVersion() (version, commit string) {
	version, commit = "devel", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, commit
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		version = v
	}
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			commit = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			commit += " (modified)"
		}
	}
	return version, commit
}
