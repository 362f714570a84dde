// Package pgtest is test support: a PostgreSQL server for the tests of one process,
// and a schema of its own for each test.
//
// It owns the server: it finds the binaries, makes a cluster in a temporary
// folder, and removes it when the process ends, however it ends. It does not own
// any table.
//
// A missing PostgreSQL is a failure, never a skipped test.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running PostgreSQL server.
type Server struct {
	bin, dir string
	schemas  atomic.Int64
	durable  bool // what is committed survives a crash of the server
	settings []string
	watch    *exec.Cmd
	life     io.Closer // when it closes, the server ends and its folder goes
}

// shared is the server of this process, made by the first test that asks.
var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Main runs the tests of a package, then ends the server that they shared:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		shared.server.close()
	}
	return code
}

// URL returns the address of an empty schema in the server that all tests of this
// process share.
func URL(tb testing.TB) string {
	tb.Helper()
	// It is not this test's: the next one uses it too.
	shared.once.Do(func() { shared.server, shared.err = start(context.WithoutCancel(tb.Context()), &Server{}) })
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server.URL(tb)
}

// New starts a server for one test, which may stop and start it. Settings, each as
// name=value, are stronger than its own.
func New(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	s, err := start(tb.Context(), &Server{durable: true, settings: settings})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.close)
	return s
}

// Lasting starts a server that ends with the process.
func Lasting(ctx context.Context, settings ...string) (*Server, error) {
	return start(ctx, &Server{durable: true, settings: settings})
}

// URL returns the address of an empty schema.
func (s *Server) URL(tb testing.TB) string {
	tb.Helper()
	schema := "test_" + strconv.FormatInt(s.schemas.Add(1), 10)
	conn, err := pgx.Connect(tb.Context(), s.url(""))
	if err != nil {
		tb.Fatalf("connect to the test server: %v", err)
	}
	_, err = conn.Exec(tb.Context(), "CREATE SCHEMA "+schema)
	if err := errors.Join(err, conn.Close(tb.Context())); err != nil {
		tb.Fatalf("make a schema: %v", err)
	}
	return s.url(schema)
}

func (s *Server) url(schema string) string {
	q := url.Values{"host": {s.dir}}
	if schema != "" {
		q.Set("search_path", schema)
	}
	return "postgres://postgres@/postgres?" + q.Encode()
}

// Stop stops the server at once, as a crash would.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	if err := s.run(tb.Context(), "pg_ctl", "-D", s.data(), "-m", "immediate", "-w", "stop"); err != nil {
		tb.Fatal(err)
	}
}

// Halt stops the server: "immediate" as a crash would, "fast" in order, ending whom it
// serves. Unlike Stop it may be called from any goroutine.
func (s *Server) Halt(ctx context.Context, mode string) error {
	return s.run(ctx, "pg_ctl", "-D", s.data(), "-m", mode, "-w", "stop")
}

// Resume starts a server that was stopped. Unlike Start it may be called from any
// goroutine.
func (s *Server) Resume(ctx context.Context) error { return s.startServer(ctx) }

// Socket returns the path of the socket that the server listens on.
func (s *Server) Socket() string { return filepath.Join(s.dir, ".s.PGSQL.5432") }

// Log returns what the server has logged.
func (s *Server) Log() ([]byte, error) { return os.ReadFile(filepath.Join(s.dir, "log")) }

// Start starts a server that was stopped.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	if err := s.startServer(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// Run runs a program of PostgreSQL's, as the user and in the folder of the server.
func (s *Server) Run(tb testing.TB, program string, args ...string) {
	tb.Helper()
	if err := s.run(tb.Context(), program, args...); err != nil {
		tb.Fatal(err)
	}
}

// Folder returns the server's folder, which ends with it: the cluster is data in it.
func (s *Server) Folder() string { return s.dir }

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// start makes a cluster and starts its server.
func start(ctx context.Context, s *Server) (_ *Server, err error) {
	if s.bin, err = binaries(); err != nil {
		return nil, err
	}
	if err := s.makeFolder(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	// Not the locale that the tables want: what they want, they must say.
	err = s.run(ctx, "initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
		"--locale-provider=icu", "--icu-locale=en-US", "--no-sync", "--no-instructions")
	if err != nil {
		return nil, err
	}
	return s, s.startServer(ctx)
}

func (s *Server) startServer(ctx context.Context) error {
	options := []string{
		"-k", s.dir, "-h", "''", "-F", // a socket in its folder, no TCP, no fsync
		"-c", "full_page_writes=off", "-c", "wal_level=minimal", "-c", "max_wal_senders=0",
		"-c", "max_connections=300", "-c", "shared_buffers=64MB", "-c", "jit=off", "-c", "deadlock_timeout=50ms",
		"-c", "max_wal_size=256MB",
	}
	if !s.durable {
		options = append(options, "-c", "synchronous_commit=off")
	}
	for _, setting := range s.settings {
		options = append(options, "-c", "'"+setting+"'")
	}
	return s.run(ctx, "pg_ctl", "-D", s.data(), "-l", filepath.Join(s.dir, "log"), "-w", "-t", "60", "-s",
		"-o", strings.Join(options, " "), "start")
}

// makeFolder makes the folder of the cluster, and starts what ends the server and
// removes it once this process is gone, however it went.
func (s *Server) makeFolder(ctx context.Context) (err error) {
	// The name of a socket may have about a hundred bytes.
	parent := os.TempDir()
	if len(parent) > 60 {
		parent = "/tmp"
	}
	if s.dir, err = os.MkdirTemp(parent, "stint-pg-"); err != nil {
		return fmt.Errorf("make a folder for PostgreSQL: %w", err)
	}
	if err := giveAway(s.dir); err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	const script = `cat; "$1"/pg_ctl -D "$2"/data -m immediate -s stop; rm -rf "$2"`
	s.watch = exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", script, "sh", s.bin, s.dir)
	unprivileged(s.watch)
	if s.life, err = s.watch.StdinPipe(); err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := s.watch.Start(); err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	return nil
}

// close ends the server and waits until its folder is gone.
func (s *Server) close() {
	_ = s.life.Close()
	_ = s.watch.Wait()
}

func (s *Server) run(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	unprivileged(cmd)
	// A server would keep a pipe open, and whoever reads it waiting.
	out, err := os.CreateTemp("", "stint-pg-*.out")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return fmt.Errorf("%s: %w\n%s%s", name, err, said, log)
	}
	return nil
}

// errMissing says what to do where there is no PostgreSQL.
var errMissing = errors.New("PostgreSQL 15 or newer is needed to run these tests, and its server binaries (initdb, pg_ctl, postgres) " +
	"are neither in /usr/lib/postgresql/*/bin nor in PATH: scripts/test-deps.sh installs them on Debian")

// binaries returns the folder of the newest PostgreSQL on this machine.
func binaries() (string, error) {
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	folders = slices.DeleteFunc(folders, func(dir string) bool { return versionIn(dir) < 15 || !complete(dir) })
	if len(folders) > 0 {
		return slices.MaxFunc(folders, func(a, b string) int { return versionIn(a) - versionIn(b) }), nil
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(initdb); err == nil && complete(filepath.Dir(real)) {
			return filepath.Dir(real), nil
		}
	}
	return "", errMissing
}

func versionIn(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

func complete(dir string) bool {
	for _, name := range []string{"initdb", "pg_ctl", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}
