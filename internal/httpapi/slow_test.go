package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
	"stint/internal/config"
)

// A client that sends a byte now and then must not hold a connection, nor leave
// anything behind. The server's clock goes behind the real one, which deadlines
// of connections are held against: so its patience of thirty seconds ends soon.
func TestABodyThatComesByteByByteIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{
		Import: caseTasks(t), Now: func() time.Time { return time.Now().Add(-29500 * time.Millisecond) },
		Configure: func(c *config.Config) { c.Retention, c.AuditRetention = 0, 0 },
	})
	source, _ := createSource(t, server, leastSource)
	db := openDatabase(t, server)
	before := db.inventory()
	const form = "multipart/form-data; boundary=b"
	for name, test := range map[string]struct{ method, target, media, first, then string }{
		"a patch":           {"PATCH", "/task-status/v1/" + inProgress, jsonPatch, `[{"op":"replace",`, " "},
		"a launch":          {"POST", "/stint/v1/tasks", "application/json", `{"type":`, " "},
		"a cancel":          {"POST", stintTask(inProgress, "cancel"), "application/json", `{`, " "},
		"a report":          {"POST", stintTask(inProgress, "report"), "application/json", `{`, " "},
		"a source":          {"POST", "/stint/v1/sources", "application/json", `{`, " "},
		"a file":            {"POST", "/sources/v1/" + source + "/load-accounts", form, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n", "a"},
		"a form of nothing": {"POST", "/sources/v1/" + source + "/load-accounts", form, "--b\r\n", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: 60000\r\n\r\n%s",
				test.method, test.target, test.media, test.first); err != nil {
				t.Fatal(err)
			}
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for err := error(nil); err == nil; <-tick.C {
					_, err = io.WriteString(conn, test.then)
				}
			}()
			in := bufio.NewReader(conn)
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusBadRequest || !answer.Close {
				t.Errorf("got %s, closed %v; want 400 and the connection closed", answer.Status, answer.Close)
			}
			if _, err := in.ReadByte(); err == nil {
				t.Error("the connection is still open")
			}
			_ = conn.Close()
			<-sent
		})
	}
	t.Cleanup(func() {
		wantInProgress(t, server, inProgress)
		if diff := cmp.Diff(before, db.inventory()); diff != "" {
			t.Errorf("something was stored (-before +after):\n%s", diff)
		}
	})
}
