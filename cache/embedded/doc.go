// Package embedded is a Redis without an installation: for the demo, for trying
// Slotgate out, and for tests.
//
// Where redis-server (or valkey-server) is on the PATH, Start runs it as a child
// on a unix socket of its own: no port, no password, nobody else. The child ends
// with its parent, on Linux even when the parent is killed with signal 9. With
// Options.Dir it keeps its data there in an append-only file, else it keeps
// nothing.
//
// Where there is none, Start runs miniredis in the process. That is a stand-in
// for looking around: one process only, slower, and nothing outlives it. Its
// clock does not run by itself, so Start ticks it, and lifetimes of keys are
// exact to that tick.
package embedded
