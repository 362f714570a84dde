//go:build unix

package execrun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// child is the running program, the leader of a process group of its own.
type child struct {
	pid int
	tty *terminal

	mu     sync.Mutex
	reaped bool
}

// startChild starts the program. files are its standard input, output and error.
func startChild(command, env []string, files []*os.File, tty *terminal) (*child, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	attr := &syscall.SysProcAttr{Setpgid: true}
	if tty != nil && tty.takesAtStart() {
		attr.Foreground = true
		attr.Ctty = tty.fd()
	}
	process, err := os.StartProcess(path, command, &os.ProcAttr{Env: env, Files: files, Sys: attr})
	if err != nil {
		return nil, err
	}
	c := &child{pid: process.Pid, tty: tty}
	// Waiting is done below the os package, which cannot wait for a stop.
	_ = process.Release()
	if tty != nil {
		tty.childStarted()
	}
	return c, nil
}

// startFailure is the outcome of a program that could not be started: as shells have it, 127
// where there is no such program, 126 where it cannot be run.
func startFailure(program string, err error) outcome {
	code, hint := exitNotExecutable, ""
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrDot):
		code = exitNotFound
	case errors.Is(err, syscall.ENOEXEC):
		hint = " (a script needs a first line like #!/bin/sh)"
	}
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		// It would name the program a second time.
		err = lookup.Err
	}
	return outcome{code: code, startErr: fmt.Errorf("%s could not be started: %w%s", program, err, hint)}
}

// wait waits until the program ends. While it is stopped, the terminal and stint itself act
// as the user's shell expects.
func (c *child) wait() outcome {
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(c.pid, &status, syscall.WUNTRACED, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			// Nobody else waits for it, so this does not happen; the end is then unknown.
			c.ended()
			return outcome{code: exitNotExecutable, startErr: fmt.Errorf("waiting for the program: %w", err)}
		case status.Stopped():
			if c.tty != nil {
				c.tty.childStopped(c.pid, status.StopSignal())
			}
		case status.Signaled():
			c.ended()
			return outcome{signal: status.Signal()}
		default:
			c.ended()
			return outcome{code: status.ExitStatus()}
		}
	}
}

func (c *child) ended() {
	c.mu.Lock()
	c.reaped = true
	c.mu.Unlock()
	if c.tty != nil {
		c.tty.childEnded(c.pid)
	}
}

// forward passes on a signal that stint exec got. What a terminal or a supervisor sends to
// end the work goes to the whole group, as a terminal would send it; a signal with a meaning
// of the program's own goes to the program alone, for others die of it.
func (c *child) forward(sig os.Signal) {
	number, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	if number == syscall.SIGUSR1 || number == syscall.SIGUSR2 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.reaped {
			_ = syscall.Kill(c.pid, number)
		}
		return
	}
	c.signalGroup(number)
}

// signalGroup signals what is left of the process group. A stopped one is woken, or it would
// never see the signal.
func (c *child) signalGroup(sig syscall.Signal) {
	_ = syscall.Kill(-c.pid, sig)
	if sig != syscall.SIGKILL {
		_ = syscall.Kill(-c.pid, syscall.SIGCONT)
	}
}

// groupAlive says whether any process of the group is left.
func (c *child) groupAlive() bool {
	return !errors.Is(syscall.Kill(-c.pid, 0), syscall.ESRCH)
}
