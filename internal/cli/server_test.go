package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stint/client"
	"stint/internal/apptest"
)

// The tests of this package run the real program against a real server.

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stint-cli-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "stint")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", path, "stint/cmd/stint")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// server is a stint serve that can go away and come back at the same address.
type server struct {
	t    *testing.T
	url  string
	addr string
	db   string
	cmd  *exec.Cmd
	log  *bytes.Buffer
}

// newServer chooses an address; start starts it.
func newServer(t *testing.T) *server {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, addr: addr, url: "http://" + addr, db: filepath.Join(t.TempDir(), "stint.db")}
	t.Cleanup(s.stop)
	return s
}

func startServer(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	s.log = &bytes.Buffer{}
	s.cmd = exec.CommandContext(s.t.Context(), path, "serve", "--db", s.db, "--listen", s.addr, "--ops-listen", "127.0.0.1:0", "--insecure-no-auth")
	s.cmd.Stderr, s.cmd.Env = s.log, []string{"HOME=" + s.t.TempDir()}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	// The client tries again until the server listens.
	if _, err := s.client().Definitions(s.t.Context()); err != nil {
		s.stop()
		s.t.Fatalf("the server did not start: %v\n%s", err, s.log)
	}
}

// stop ends the server as an operator would.
func (s *server) stop() { s.end(syscall.SIGTERM) }

// kill ends it as a crash would.
func (s *server) kill() { s.end(syscall.SIGKILL) }

func (s *server) end(sig os.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig)
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *server) client() *client.Client {
	s.t.Helper()
	c, err := client.New(s.url, client.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// list is all tasks, newest first.
func (s *server) list(filter string) []*client.Task {
	s.t.Helper()
	var tasks []*client.Task
	for task, err := range s.client().Tasks(s.t.Context(), client.ListOptions{Filter: filter}) {
		if err != nil {
			s.t.Fatal(err)
		}
		tasks = append(tasks, task)
	}
	return tasks
}

// one is the only task there is, with its history.
func (s *server) one() *client.Task {
	s.t.Helper()
	tasks := s.list("")
	if len(tasks) != 1 {
		s.t.Fatalf("%d tasks, want 1", len(tasks))
	}
	task, err := s.client().GetTask(s.t.Context(), tasks[0].ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return task
}

// awaitTask asks again and again until a task is as wanted.
func (s *server) awaitTask(id string, wanted func(*client.Task) bool) *client.Task {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		task, err := s.client().GetTask(ctx, id)
		if err != nil {
			s.t.Fatalf("waiting for task %s: %v", id, err)
		}
		if wanted(task) {
			return task
		}
		<-tick.C
	}
}

// command is one run of the program.
type command struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *apptest.Buffer
	stderr *apptest.Buffer
}

// env is where a test's commands live.
type env struct {
	t     *testing.T
	home  string
	spool string
	url   string
}

func newEnv(t *testing.T, s *server) *env {
	t.Helper()
	home := t.TempDir()
	return &env{t: t, home: home, spool: filepath.Join(home, ".local", "state", "stint", "spool"), url: s.url}
}

func (e *env) command(args ...string) *command {
	e.t.Helper()
	path, err := binary()
	if err != nil {
		e.t.Fatal(err)
	}
	c := &command{t: e.t, cmd: exec.CommandContext(e.t.Context(), path, args...), stdout: apptest.NewBuffer(), stderr: apptest.NewBuffer()}
	c.cmd.Env = []string{"HOME=" + e.home, "PATH=" + filepath.Dir(path) + ":" + os.Getenv("PATH"), "STINT_URL=" + e.url}
	c.cmd.Stdout, c.cmd.Stderr = c.stdout, c.stderr
	return c
}

// secret puts a secret into a file, as a command takes it.
func (e *env) secret(text string) string {
	e.t.Helper()
	path := filepath.Join(e.t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		e.t.Fatal(err)
	}
	return path
}

// run runs to the end and expects an exit status.
func (e *env) run(code int, args ...string) (stdout, stderr string) {
	e.t.Helper()
	c := e.command(args...)
	c.start()
	c.wait(code)
	return c.stdout.String(), c.stderr.String()
}

func (c *command) start() {
	c.t.Helper()
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
}

func (c *command) wait(code int) {
	c.t.Helper()
	_ = c.cmd.Wait()
	if got := c.cmd.ProcessState.ExitCode(); got != code {
		c.t.Fatalf("%v: exit status %d, want %d\nstdout: %s\nstderr: %s", c.cmd.Args[1:], got, code, c.stdout, c.stderr)
	}
}

// spooled lists a spool folder's entries.
func (e *env) spooled(folder string) []string {
	e.t.Helper()
	names, err := filepath.Glob(filepath.Join(e.spool, folder, "*.json"))
	if err != nil {
		e.t.Fatal(err)
	}
	return names
}

func hasMessage(t *client.Task, kind client.MessageType, part string) bool {
	for _, m := range t.Messages {
		if m.Type == kind && strings.Contains(m.LocalizedText.Message, part) {
			return true
		}
	}
	return false
}
