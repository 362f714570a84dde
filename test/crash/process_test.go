package crash

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"stint/client"
	"stint/internal/apptest"
)

var binary string // the program under test, built once

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "stint-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "stint")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "stint/cmd/stint")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// server is the program on one database and one pair of ports; it can be killed
// and started again.
type server struct {
	db, addr, ops string
	flags         []string // more of them

	mu  sync.Mutex
	cmd *exec.Cmd
	log *apptest.Buffer
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{db: filepath.Join(t.TempDir(), "stint.db"), addr: freeAddress(t), ops: freeAddress(t), log: apptest.NewBuffer()}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			text := s.log.String()
			t.Logf("the end of the server's log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return s
}

// freeAddress returns a loopback address that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// launch starts the program and returns at once.
func (s *server) launch(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	args := []string{"serve", "--db", s.db, "--listen", s.addr, "--ops-listen", s.ops, "--insecure-no-auth", "--log-level", "warn"}
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), binary, append(args, s.flags...)...)
	s.cmd.Stderr = s.log
	err := s.cmd.Start()
	s.mu.Unlock()
	if err != nil {
		t.Fatalf("start: %v", err)
	}
}

// start starts the program and returns once it is ready.
func (s *server) start(t *testing.T) {
	t.Helper()
	s.launch(t)
	deadline := time.Now().Add(20 * time.Second)
	for s.status(t.Context(), "/readyz") != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatal("the server does not get ready")
		}
		pause(10 * time.Millisecond)
	}
}

// status returns the status of an operations endpoint, or 0.
func (s *server) status(ctx context.Context, path string) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.ops+path, nil)
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

// kill ends the program with SIGKILL and waits for it.
func (s *server) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// terminate sends SIGTERM and returns the exit code.
func (s *server) terminate(t *testing.T) <-chan int {
	t.Helper()
	s.mu.Lock()
	cmd := s.cmd
	s.cmd = nil
	s.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	code := make(chan int, 1)
	go func() {
		_ = cmd.Wait()
		code <- cmd.ProcessState.ExitCode()
	}()
	return code
}

func (s *server) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New("http://"+s.addr, client.Options{RetryFor: -1, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pause waits a moment between two tries of what cannot be waited for.
func pause(d time.Duration) { <-time.After(d) }
