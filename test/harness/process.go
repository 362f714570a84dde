package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Main builds the program once, at *binary, and runs the tests of a package.
func Main(m *testing.M, binary *string) int {
	dir, err := os.MkdirTemp("", "stint-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*binary = filepath.Join(dir, "stint")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", *binary, "stint/cmd/stint")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// FreeAddress returns a loopback address that nobody listens on now.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Process is the program with its arguments; it can be hurt and started again. All
// methods are safe for concurrent use.
type Process struct {
	Path string
	Args []string
	Ops  string    // address of its operations endpoints
	Log  io.Writer // takes what it writes to standard error

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed once cmd is gone
}

var errAlive = errors.New("the process runs already")

// Start starts the program and returns at once. It fails where the program runs.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return errAlive
	}
	cmd := exec.CommandContext(context.Background(), p.Path, p.Args...)
	cmd.Stderr = p.Log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	return nil
}

// Exited returns a channel that is closed once the program is gone; nil where it was
// not started, or was ended by this process.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

// Status returns the status of an operations endpoint, or 0.
func (p *Process) Status(ctx context.Context, path string) int {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Ops+path, nil)
	if err != nil {
		return 0
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// AwaitReady waits until the program is ready, but not for ever.
func (p *Process) AwaitReady(ctx context.Context, longest time.Duration) error {
	deadline := time.Now().Add(longest)
	for p.Status(ctx, "/readyz") != http.StatusOK {
		if time.Now().After(deadline) {
			return errors.New("the server does not get ready")
		}
		Pause(10 * time.Millisecond)
	}
	return nil
}

// Kill ends the program with SIGKILL and waits for it.
func (p *Process) Kill() {
	if exited := p.end(syscall.SIGKILL); exited != nil {
		<-exited
	}
}

// Terminate sends SIGTERM and returns what the exit code will come through; nil
// where the program does not run.
func (p *Process) Terminate() <-chan int {
	p.mu.Lock()
	cmd := p.cmd
	p.mu.Unlock()
	exited := p.end(syscall.SIGTERM)
	if exited == nil {
		return nil
	}
	code := make(chan int, 1)
	go func() {
		<-exited
		code <- cmd.ProcessState.ExitCode()
	}()
	return code
}

// end sends the last signal that the process gets.
func (p *Process) end(signal os.Signal) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	exited := p.exited
	_ = p.cmd.Process.Signal(signal)
	p.cmd, p.exited = nil, nil
	return exited
}

// Signal sends a signal, unless the program does not run.
func (p *Process) Signal(signal os.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(signal)
	}
}

// Reap forgets a program that ended by itself, so that it can be started again, and
// returns its exit code. ok is false where it has not.
func (p *Process) Reap() (code int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0, false
	}
	select {
	case <-p.exited:
	default:
		return 0, false
	}
	code = p.cmd.ProcessState.ExitCode()
	p.cmd, p.exited = nil, nil
	return code, true
}
