package app_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"stint/client"
	"stint/internal/config"
	"stint/internal/store/postgres/pgtest"
)

// TestNodesTellWebhooksOnce: of two nodes that run tasks, and one that serves the API
// alone, each task is told once, whichever it ended on; one that is stopped leaves
// nothing behind that nobody delivers.
func TestNodesTellWebhooksOnce(t *testing.T) {
	t.Parallel()
	db, key := pgtest.URL(t), filepath.Join(t.TempDir(), "stint.key")
	open := func(c *config.Config) { c.InsecureNoAuth = true }
	api := start(t, db, key, func(c *config.Config) { c.InsecureNoAuth, c.Role = true, config.RoleAPI })
	got := make(chan string, 1000)
	r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { got <- q.Header.Get("webhook-id") }))
	t.Cleanup(r.Close)
	clients := []*client.Client{clientOf(t, api.URL())}
	if _, err := clients[0].CreateWebhook(t.Context(), client.NewWebhook{Name: "a", URL: r.URL}); err != nil {
		t.Fatal(err)
	}
	end := func(c *client.Client) {
		t.Helper()
		l, err := c.Launch(t.Context(), client.LaunchRequest{Type: "IDENTITY_REFRESH"})
		if err == nil {
			_, err = c.Clear(t.Context(), l.ID, client.ClearRequest{Status: client.Failure})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	end(clients[0])
	select {
	case <-got:
		t.Error("a node that serves the API alone has delivered")
	case <-time.After(2 * time.Second):
	}
	first, second := start(t, db, key, open), start(t, db, key, open)
	clients = append(clients, clientOf(t, first.URL()), clientOf(t, second.URL()))
	const each = 8
	for n := range each {
		for _, c := range clients {
			end(c)
		}
		if n == each/2 {
			if err := first.Stop(); err != nil {
				t.Error(err)
			}
			clients = []*client.Client{clients[0], clients[2]}
		}
	}
	want := 1 + 3*(each/2+1) + 2*(each-each/2-1)
	seen := map[string]int{}
	for deadline := time.After(60 * time.Second); len(seen) < want; {
		select {
		case id := <-got:
			seen[id]++
		case <-deadline:
			t.Fatalf("%d messages came, want %d", len(seen), want)
		}
	}
	select {
	case id := <-got:
		t.Errorf("one message too many: %s", id)
	case <-time.After(time.Second):
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("the message %s came %d times", id, n)
		}
	}
}

func clientOf(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
