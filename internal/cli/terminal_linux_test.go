package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"stint/internal/apptest"
)

// terminal is a pseudo terminal with a program on it.
type terminal struct {
	t      *testing.T
	master *os.File
	screen *apptest.Buffer
	cmd    *exec.Cmd
}

// onTerminal runs a program as the leader of a session of its own on a new terminal.
func onTerminal(t *testing.T, e *env, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	size := &unix.Winsize{Row: 40, Col: 100}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), args[0], args[1:]...)
	cmd.Env = append(e.command().cmd.Env, "PS1=ready> ", "TERM=dumb")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	_ = slave.Close()
	term := &terminal{t: t, master: master, screen: apptest.NewBuffer(), cmd: cmd}
	go func() { _, _ = io.Copy(term.screen, master) }()
	return term
}

func (term *terminal) keys(text string) {
	term.t.Helper()
	if _, err := io.WriteString(term.master, text); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) exitCode() int {
	term.t.Helper()
	var exit *exec.ExitError
	if err := term.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		term.t.Fatal(err)
	}
	return term.cmd.ProcessState.ExitCode()
}

func stintPath(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExecOnATerminal(t *testing.T) {
	t.Parallel()
	e := newEnv(t, newServer(t))
	term := onTerminal(t, e, stintPath(t), "exec", "--type", "IDENTITY_REFRESH", "--deliver-timeout", "50ms", "--",
		"sh", "-c", `printf 'Name: '; read n; echo "got $n"; exec sleep 60`)
	term.screen.Await(t, "Name: ")
	term.keys("bob\n")
	term.screen.Await(t, "got bob")
	// Ctrl-C goes to the program, which has the terminal.
	term.keys("\x03")
	if code := term.exitCode(); code != 130 {
		t.Fatalf("exit status %d: %s", code, term.screen)
	}
	if len(e.spooled("")) != 1 {
		t.Fatalf("the run is lost: %s", term.screen)
	}
}

// The user's shell stops and continues stint exec and its program as one job.
func TestExecAsAJobOfAShell(t *testing.T) {
	t.Parallel()
	e := newEnv(t, newServer(t))
	term := onTerminal(t, e, "sh", "-i", "-m")
	term.screen.Await(t, "ready> ")
	term.keys(filepath.Base(stintPath(t)) + ` exec --type IDENTITY_REFRESH --deliver-timeout 50ms -- sh -c 'echo st""arted; read x; echo "got $x"'; echo "sta""tus $?"` + "\n")
	term.screen.Await(t, "started")
	term.keys("\x1a")
	term.screen.Await(t, "Stopped")
	term.keys("fg; echo \"fg \"\"status $?\"\n")
	term.screen.Await(t, "status $?\"\r\n")
	term.keys("word\n")
	term.screen.Await(t, "got word")
	term.screen.Await(t, "fg status 0")
	// A background job that asks for input stops until it is brought to the foreground.
	term.keys(filepath.Base(stintPath(t)) + ` exec --type IDENTITY_REFRESH --deliver-timeout 50ms -- sh -c 'echo sec""ond; read x; echo "then $x"' &` + "\n")
	term.screen.Await(t, "second")
	term.keys("fg; echo \"back \"\"status $?\"\n")
	term.screen.Await(t, "back \"\"status $?\"\r\n")
	term.keys("again\n")
	term.screen.Await(t, "then again")
	term.screen.Await(t, "back status 0")
	term.keys("exit\n")
}

func TestListFitsTheTerminal(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	e.run(0, "task", "launch", "--type", "CLOUD_ACCOUNT_AGGREGATION", "--name", "a name that is much too long for a terminal of a hundred columns\x1b[2J")
	term := onTerminal(t, e, stintPath(t), "task", "list")
	if code := term.exitCode(); code != 0 {
		t.Fatalf("exit status %d", code)
	}
	term.screen.Await(t, "s ago")
	for line := range strings.SplitSeq(strings.ReplaceAll(term.screen.String(), "\r", ""), "\n") {
		if len([]rune(line)) > 100 {
			t.Errorf("a line of %d: %q", len([]rune(line)), line)
		}
	}
}
