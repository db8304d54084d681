package embedded

import "syscall"

// attributes: the child ends when we do, whatever ends us, and a Ctrl-C in the
// terminal is for us alone: we end the child in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
