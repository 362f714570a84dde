//go:build unix

package execrun

import (
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// outputPause is how long output that was written before a stop may take to pass through.
const outputPause = 50 * time.Millisecond

// terminal lends the controlling terminal to the program, so that it can read from it and
// gets the keys that interrupt and stop.
type terminal struct {
	tty *os.File
	// group is stint's own process group.
	group int
	// atStart says that the program has the terminal from its start.
	atStart bool
}

// openTerminal is nil where there is no controlling terminal. The program gets it at once
// only where stint is in the foreground and the output goes to a terminal too: in
// "stint exec -- list | less" the terminal is the pager's until the program asks to read
// from it, and a background job has to be brought to the foreground first.
func openTerminal(stdin io.Reader, stdout, stderr io.Writer) *terminal {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	t := &terminal{tty: tty, group: unix.Getpgrp()}
	t.atStart = t.foreground() == t.group && isTerminal(stdin) && isTerminal(stdout) && isTerminal(stderr)
	return t
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (t *terminal) fd() int            { return int(t.tty.Fd()) }
func (t *terminal) takesAtStart() bool { return t.atStart }

func (t *terminal) foreground() int {
	group, err := unix.IoctlGetInt(t.fd(), unix.TIOCGPGRP)
	if err != nil {
		return -1
	}
	return group
}

func (t *terminal) give(group int) {
	_ = unix.IoctlSetPointerInt(t.fd(), unix.TIOCSPGRP, group)
}

// childStarted lets stint write to the terminal and take it back while the program has it.
// Not before the start: the program would inherit the ignored signal.
func (t *terminal) childStarted() { signal.Ignore(syscall.SIGTTOU) }

// childStopped does what a shell does for a stopped job.
func (t *terminal) childStopped(child int, sig syscall.Signal) {
	asked := sig == syscall.SIGTTIN || sig == syscall.SIGTTOU
	if t.foreground() != t.group {
		// What the program said before it stopped is still on its way to the user, who may
		// bring it to the foreground meanwhile.
		passing := time.NewTimer(outputPause)
		<-passing.C
	}
	front := t.foreground()
	switch {
	case asked && front == t.group:
		t.give(child)
	case asked || front == child:
		// The whole job stops, and goes on when the user says so.
		if front == child {
			t.give(t.group)
		}
		suspendSelf()
		if t.foreground() == t.group {
			t.give(child)
		}
	default:
		// Somebody stopped the program on purpose, not by the terminal; it stays stopped.
		return
	}
	_ = syscall.Kill(-child, syscall.SIGCONT)
}

// suspendSelf stops the whole job, stint included, and returns when it is continued. Where
// no shell could continue it, the system does not stop it, and a moment passes.
func suspendSelf() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	_ = syscall.Kill(0, syscall.SIGTSTP)
	moment := time.NewTimer(time.Second)
	defer moment.Stop()
	select {
	case <-continued:
	case <-moment.C:
	}
}

// childEnded takes the terminal back.
func (t *terminal) childEnded(child int) {
	if t.foreground() == child {
		t.give(t.group)
	}
}

func (t *terminal) close() { _ = t.tty.Close() }
