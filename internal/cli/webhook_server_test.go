package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stint/client"
)

func TestWebhookLifeByCommands(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	got := make(chan string, 10)
	r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { got <- q.Header.Get("webhook-id") }))
	t.Cleanup(r.Close)
	out, _ := e.run(0, "webhook", "create", "chat", "--to", r.URL, "--event", "task.failed", "--filter", `type eq "IDENTITY_REFRESH"`, "-o", "json")
	var w client.Webhook
	if err := json.Unmarshal([]byte(out), &w); err != nil || !strings.HasPrefix(w.Secret, "whsec_") || w.URL != r.URL || len(w.Events) != 1 || !w.Enabled {
		t.Fatalf("created %s, %v", out, err)
	}
	out, stderr := e.run(0, "webhook", "create", "other", "--to", r.URL, "--enabled=false")
	if !strings.Contains(out, "Secret  whsec_") || !strings.Contains(stderr, "once") {
		t.Fatalf("created: %q, %q", out, stderr)
	}
	if _, stderr := e.run(2, "webhook", "create", "x", "--to", "ftp://x"); !strings.Contains(stderr, "must begin with http://") {
		t.Errorf("a wrong URL: %q", stderr)
	}
	if _, stderr := e.run(2, "webhook", "create", "x"); !strings.Contains(stderr, "--to is required") {
		t.Errorf("no URL: %q", stderr)
	}
	out, _ = e.run(0, "webhook", "list")
	if lines := strings.Split(out, "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], w.ID+"\tchat\tenabled\ttask.failed\t"+r.URL+"\t") || !strings.Contains(lines[1], "\tdisabled\t") {
		t.Errorf("listed %q", out)
	}
	out, _ = e.run(0, "webhook", "get", "CHAT")
	if !strings.Contains(out, w.ID) || strings.Contains(out, "whsec_") {
		t.Errorf("got %q", out)
	}
	out, _ = e.run(0, "webhook", "update", w.ID, "--name", "Chat 2", "--event", "task.completed,task.failed", "--filter", "", "--reason", "Grüße", "-o", "json")
	if err := json.Unmarshal([]byte(out), &w); err != nil || w.Name != "Chat 2" || len(w.Events) != 2 || w.Filter != "" || !w.Enabled {
		t.Errorf("updated %s, %v", out, err)
	}
	if _, stderr := e.run(2, "webhook", "update", w.ID); !strings.Contains(stderr, "what should change") {
		t.Errorf("without a change: %q", stderr)
	}
	delivery, _ := e.run(0, "webhook", "test", "Chat 2", "-o", "id")
	delivery = strings.TrimSpace(delivery)
	if id := <-got; id != delivery {
		t.Errorf("got the message %s, want %s", id, delivery)
	}
	out, _ = e.run(0, "webhook", "deliveries", "Chat 2", "--filter", `event eq "webhook.test"`, "--since", "1h")
	if fields := strings.Split(out, "\t"); len(fields) != 9 || fields[0] != delivery || fields[2] != "webhook.test" {
		t.Errorf("deliveries %q", out)
	}
	e.run(0, "webhook", "redeliver", "Chat 2", delivery)
	if id := <-got; id != delivery {
		t.Errorf("got the message %s again, want %s", id, delivery)
	}
	if out, _ = e.run(0, "webhook", "rotate", "Chat 2"); !strings.Contains(out, "whsec_") || strings.Contains(out, w.Secret) && w.Secret != "" {
		t.Errorf("rotated %q", out)
	}
	if out, stderr := e.run(2, "webhook", "delete", "other"); out != "" || !strings.Contains(stderr, "--yes") {
		t.Errorf("deleted without being asked: %q, %q", out, stderr)
	}
	e.run(0, "webhook", "delete", "other", "--yes")
	if _, stderr := e.run(2, "webhook", "get", "other"); !strings.Contains(stderr, "other") {
		t.Errorf("after the deletion: %q", stderr)
	}
}
