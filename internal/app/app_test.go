package app_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stint/internal/app"
	"stint/internal/apptest"
	"stint/internal/auth"
	"stint/internal/config"
)

// What a client promises to send and never does must not hold a connection: not
// on any path, whether its handler reads bodies or not.
func TestABodyThatNeverComesHoldsNothing(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	ops := strings.TrimPrefix(server.App.OpsURL(), "http://")
	for name, tc := range map[string]struct {
		address, request string
		status           int
	}{
		"a read":           {server.Addr, "GET /task-status/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", 200},
		"an unknown path":  {server.Addr, "POST /nope HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", 404},
		"the wrong method": {server.Addr, "DELETE /task-status/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", 405},
		"operations":       {ops, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", tc.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			// Far more than the server should take, far less than for ever.
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write([]byte(tc.request)); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != tc.status {
				t.Errorf("got %d, want %d", answer.StatusCode, tc.status)
			}
			if _, err := in.ReadByte(); err == nil {
				t.Error("the connection is still open")
			}
		})
	}
}

func TestOperationsEndpoints(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/debug/pprof/": 200, "/task-status/v1": 404, "/": 404} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.App.OpsURL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, answer.StatusCode, want)
		}
	}
}

// A setup that fails half-way must leave nothing held: the same database opens
// at once.
func TestAFailedSetupIsUndone(t *testing.T) {
	t.Parallel()
	first := apptest.Start(t, apptest.Options{})
	db := t.TempDir() + "/stint.db"
	cfg := config.Default()
	cfg.DB, cfg.Listen, cfg.InsecureNoAuth = db, first.Addr, true
	if _, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler), time.Now); err == nil {
		t.Fatal("two servers listen on one address")
	}
	second := apptest.Start(t, apptest.Options{Configure: func(c *config.Config) { c.DB = db }})
	if err := second.App.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := second.App.Stop(); err != nil {
		t.Fatalf("a second stop: %v", err)
	}
}

// A database that cannot be opened is an error, also of whoever undoes the setup.
func TestADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if _, err := auth.OpenKeyFile(key); err != nil {
		t.Fatal(err)
	}
	for name, db := range map[string]string{"a server": "postgres://nobody@127.0.0.1:1/nothing?sslmode=disable", "a file": dir} {
		cfg := config.Default()
		cfg.DB, cfg.KeyFile, cfg.Listen, cfg.OpsListen, cfg.InsecureNoAuth = db, key, "127.0.0.1:0", "127.0.0.1:0", true
		if _, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler), time.Now); err == nil {
			t.Errorf("%s: it serves without a database", name)
		}
	}
}
