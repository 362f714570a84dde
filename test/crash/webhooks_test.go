package crash

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"stint/client"
)

// TestWebhooksAreToldBehindKill: a server that is killed between a task's end and its
// delivery delivers it when it is started again; one that is killed in the middle of a
// delivery, too, with the same id.
func TestWebhooksAreToldBehindKill(t *testing.T) {
	s := newServer(t)
	s.start(t)
	c := s.client(t)
	got, hang := make(chan string, 100), make(chan struct{})
	first := make(chan struct{}, 1)
	first <- struct{}{}
	r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		got <- q.Header.Get("webhook-id")
		select {
		case <-first: // the first one gets no answer
			<-hang
		default:
		}
	}))
	t.Cleanup(r.Close)
	t.Cleanup(func() { close(hang) })
	hook, err := c.CreateWebhook(t.Context(), client.NewWebhook{Name: "a", URL: r.URL})
	if err != nil {
		t.Fatal(err)
	}
	end := func() string {
		t.Helper()
		l, err := c.Launch(t.Context(), client.LaunchRequest{Type: "IDENTITY_REFRESH"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Clear(t.Context(), l.ID, client.ClearRequest{Status: client.Failure}); err != nil {
			t.Fatal(err)
		}
		return l.ID
	}
	next := func() string {
		t.Helper()
		select {
		case id := <-got:
			return id
		case <-time.After(30 * time.Second):
			t.Fatal("no message came")
			return ""
		}
	}
	tasks := map[string]bool{end(): true}
	id := next()
	s.kill() // while the receiver has not answered
	s.start(t)
	if again := next(); again != id {
		t.Errorf("the message %s came as %s after the kill", id, again)
	}
	for range 5 {
		tasks[end()] = true
		s.kill() // before it is told, most likely
		s.start(t)
	}
	told, deadline := map[string]client.WebhookDelivery{}, time.Now().Add(time.Minute)
	for {
		page, err := c.ListDeliveries(t.Context(), hook.ID, client.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		done := 0
		for _, d := range page.Deliveries {
			told[d.TaskID] = d
			if d.State == "delivered" {
				done++
			}
		}
		if done == len(tasks) && len(page.Deliveries) == len(tasks) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the kills the deliveries are %+v", page.Deliveries)
		}
		pause(100 * time.Millisecond)
	}
	for task := range tasks {
		if told[task].State != "delivered" {
			t.Errorf("of the task %s nobody was told", task)
		}
	}
	if code := <-s.terminate(t); code != 0 {
		t.Errorf("the stop ended with %d", code)
	}
	wantNone(t, openFile(t, s.db), "SELECT count(*) FROM river_job WHERE state = 'running'")
}
