package app_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"stint/internal/app"
	"stint/internal/apptest"
	"stint/internal/config"
)

// patience is far more than a server with short limits takes, far less than one
// with the real ones.
const patience = 5 * time.Second

// startLimited serves "ok" within short limits, and returns its address.
func startLimited(t *testing.T, header, idle time.Duration, secure bool) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var settings *tls.Config
	if secure {
		p := newPair(t, "limited", time.Now().Add(time.Hour))
		c, err := tls.X509KeyPair(p.cert, p.key)
		if err != nil {
			t.Fatal(err)
		}
		settings = &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}
	}
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	server := app.ServeLimited(ok, header, idle, settings, l)
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// wantClosed waits for the server to close a connection, whatever it says first.
func wantClosed(t *testing.T, conn net.Conn, within time.Duration) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open after %s", within)
	}
}

// dribble sends a text again and again until the connection breaks or the test
// ends.
func dribble(t *testing.T, conn net.Conn, every time.Duration, text string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if _, err := io.WriteString(conn, text); err != nil {
					return
				}
			}
		}
	}()
}

func TestWhoSaysNothingIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	const header, idle = 300 * time.Millisecond, time.Hour
	plain, secure := startLimited(t, header, idle, false), startLimited(t, header, idle, true)
	for name, test := range map[string]struct {
		addr, first, then string
	}{
		"nothing":                      {plain, "", ""},
		"nothing, TLS":                 {secure, "", ""},
		"half a request line":          {plain, "GET /task", ""},
		"no end of the headers":        {plain, "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n", ""},
		"a byte now and then":          {plain, "GET /", "a"},
		"a header now and then":        {plain, "GET / HTTP/1.1\r\nHost: localhost\r\n", "X-A: b\r\n"},
		"an empty line now and then":   {plain, "", "\r\n"},
		"half a greeting, TLS":         {secure, "\x16\x03\x01\x02\x00\x01", ""},
		"a byte now and then, TLS":     {secure, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "a"},
		"a second request, broken off": {plain, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, test.addr)
			if _, err := io.WriteString(conn, test.first); err != nil {
				t.Fatal(err)
			}
			if test.then != "" {
				dribble(t, conn, 20*time.Millisecond, test.then)
			}
			wantClosed(t, conn, patience)
		})
	}
}

// A client repeats a write whose connection breaks: what is idle stays open for
// much longer than headers may take.
func TestIdleConnectionsAreClosedLate(t *testing.T) {
	t.Parallel()
	const header = 100 * time.Millisecond
	conn := dial(t, startLimited(t, header, time.Hour, false))
	in := bufio.NewReader(conn)
	for range 3 {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("an idle connection was closed: %v", err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		<-time.After(3 * header)
	}
	idle := dial(t, startLimited(t, time.Minute, 200*time.Millisecond, false))
	if _, err := io.WriteString(idle, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, idle, patience)
}

func TestHeadersHaveABound(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	const large = 1 << 20
	for name, request := range map[string]string{
		"a header of 1 MiB":      "GET /task-status/v1 HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("a", large) + "\r\n\r\n",
		"a token of 1 MiB":       "GET /task-status/v1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + strings.Repeat("a", large) + "\r\n\r\n",
		"a path of 1 MiB":        "GET /task-status/v1/" + strings.Repeat("a", large) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a query of 1 MiB":       "GET /task-status/v1?filters=" + strings.Repeat("a", large) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a method of 1 MiB":      strings.Repeat("A", large) + " / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"100,000 headers":        "GET /task-status/v1 HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X-A: b\r\n", 100_000) + "\r\n",
		"a header without end":   "GET /task-status/v1 HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("a", large),
		"a line that never ends": strings.Repeat("G", large),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, server.Addr)
			go func() { _, _ = io.WriteString(conn, request) }() // broken off by the server
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !answer.Close {
				t.Errorf("got %s, closed %v; want 431 and the connection closed", answer.Status, answer.Close)
			}
			wantClosed(t, conn, patience)
		})
	}
}

// The longest filter there can be, percent-encoded, with a token beside it.
func TestTheLongestFilterFits(t *testing.T) {
	t.Parallel()
	p := newPair(t, "first", time.Now().Add(time.Hour))
	files := newTLSFiles(t, p)
	plain := apptest.Start(t, apptest.Options{})
	secure := apptest.Start(t, apptest.Options{Configure: func(c *config.Config) { c.TLSCert, c.TLSKey = files.cert, files.key }})
	filter := `launcher eq "a"` + strings.Repeat(" ", 32<<10-15)
	var encoded strings.Builder
	for _, b := range []byte(filter) {
		fmt.Fprintf(&encoded, "%%%02X", b)
	}
	for _, server := range []*apptest.Server{plain, secure} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.App.URL()+"/task-status/v1?filters="+encoded.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-A", strings.Repeat("a", 16<<10))
		answer, err := trusting(t, p).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("HTTP/%d: got %s", answer.ProtoMajor, answer.Status)
		}
		// And by HTTP/2 too there is a bound.
		r.Header.Set("X-A", strings.Repeat("a", 1<<20))
		if answer, err = trusting(t, p).Do(r); err != nil {
			continue // the connection was closed on the client
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("HTTP/%d, 1 MiB: got %s", answer.ProtoMajor, answer.Status)
		}
	}
}

func TestManyIdleConnectionsCostLittle(t *testing.T) { //nolint:paralleltest // it looks at the memory of the process
	server := apptest.Start(t, apptest.Options{})
	const many = 400
	before := heap()
	var in []*bufio.Reader
	for i := range many {
		conn := dial(t, server.Addr)
		if i%2 == 0 { // half of them never say a word
			continue
		}
		if _, err := io.WriteString(conn, "GET /task-status/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		in = append(in, bufio.NewReader(conn))
	}
	for _, r := range in {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("got %s", answer.Status)
		}
	}
	if grown := heap() - before; grown > 64<<20 {
		t.Errorf("%d connections take %d MiB", many, grown>>20)
	}
	if answer := fetch(t, http.DefaultClient, server.URL+"/task-status/v1"); answer.status != http.StatusOK {
		t.Errorf("another: got %d", answer.status)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
