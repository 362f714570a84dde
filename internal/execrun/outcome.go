package execrun

import (
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"stint/client"
)

// exitTempFail is EX_TEMPFAIL of sysexits.h: failed for now, worth another try.
const exitTempFail = 75

// Exit statuses of a program that could not be started, as shells have them.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// outcome is how the program ended.
type outcome struct {
	code int
	// signal is what killed it, zero if it exited.
	signal syscall.Signal
	// startErr is why it could not be started.
	startErr error
}

// exitStatus is what stint exec exits with.
func (o outcome) exitStatus() int {
	if o.signal != 0 {
		return 128 + int(o.signal)
	}
	return o.code
}

// completion is what the exit status means for the task: 0 is SUCCESS, or WARNING where the
// program gave warnings or errors; 75 is TEMPERROR; all else is ERROR.
func (o outcome) completion(complained bool) client.CompletionStatus {
	switch {
	case o.startErr != nil || o.signal != 0:
		return client.Failure
	case o.code == 0 && complained:
		return client.Warning
	case o.code == 0:
		return client.Success
	case o.code == exitTempFail:
		return client.TempError
	}
	return client.Failure
}

// text says in words how the program ended.
func (o outcome) text(program string) string {
	switch {
	case o.startErr != nil:
		return o.startErr.Error()
	case o.signal != 0:
		return fmt.Sprintf("%s was killed by %s.", program, signalName(o.signal))
	case o.code == exitTempFail:
		return fmt.Sprintf("%s ended with exit status %d (failed for now).", program, o.code)
	}
	return fmt.Sprintf("%s ended with exit status %d.", program, o.code)
}

func (o outcome) failed() bool { return o.startErr != nil || o.signal != 0 || o.code != 0 }

// message is the ERROR message of a failed program with the end of its output.
func (o outcome) message(program, tail string) string {
	text := o.text(program)
	if strings.TrimSpace(tail) != "" {
		text += "\nLast output:\n" + tail
	}
	return text
}

func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(sig))
}
