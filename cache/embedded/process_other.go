//go:build !linux

package embedded

import "syscall"

// attributes: this system cannot end a child with its parent; Close does.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
