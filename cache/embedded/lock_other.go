//go:build !unix

package embedded

// lockDir does nothing here: the system knows no advisory locks.
func lockDir(string) (unlock func(), err error) { return func() {}, nil }
