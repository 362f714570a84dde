package crash

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stint/client"
	"stint/internal/apptest"
	"stint/test/harness"
)

var binary string // the program under test, built once

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &binary)) }

// server is the program on one database and one pair of ports; it can be killed
// and started again.
type server struct {
	db, addr string
	flags    []string // more of them
	process  harness.Process
	log      *apptest.Buffer
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{db: filepath.Join(t.TempDir(), "stint.db"), addr: harness.FreeAddress(t), log: apptest.NewBuffer()}
	s.process = harness.Process{Path: binary, Ops: harness.FreeAddress(t), Log: s.log}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			text := s.log.String()
			t.Logf("the end of the server's log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return s
}

// launch starts the program and returns at once.
func (s *server) launch(t *testing.T) {
	t.Helper()
	args := []string{"serve", "--db", s.db, "--listen", s.addr, "--ops-listen", s.process.Ops, "--insecure-no-auth", "--log-level", "warn"}
	s.process.Args = append(args, s.flags...)
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
}

// start starts the program and returns once it is ready.
func (s *server) start(t *testing.T) {
	t.Helper()
	s.launch(t)
	if err := s.process.AwaitReady(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
}

// status returns the status of an operations endpoint, or 0.
func (s *server) status(ctx context.Context, path string) int { return s.process.Status(ctx, path) }

// kill ends the program with SIGKILL and waits for it.
func (s *server) kill() { s.process.Kill() }

// terminate sends SIGTERM and returns the exit code.
func (s *server) terminate(t *testing.T) <-chan int {
	t.Helper()
	code := s.process.Terminate()
	if code == nil {
		t.Fatal("the server does not run")
	}
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

func pause(d time.Duration) { harness.Pause(d) }
