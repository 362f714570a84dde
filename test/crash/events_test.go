package crash

import (
	"context"
	"maps"
	"testing"
	"time"

	"stint/client"
)

// TestEventsGoOnBehindKill: who followed the tasks before the server was killed is
// told what has changed since, and one who stays is told it, too.
func TestEventsGoOnBehindKill(t *testing.T) {
	s := newServer(t)
	s.start(t)
	c, err := client.New("http://"+s.addr, client.Options{RetryFor: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	stays := make(chan client.Event, 1000)
	go func() {
		defer close(stays)
		for e, err := range c.Events(ctx, client.EventOptions{}) {
			if err != nil {
				return
			}
			stays <- e
		}
	}()
	if e := <-stays; e.Name != client.EventReady {
		t.Fatalf("the first event is %+v", e)
	}
	launch := func() *client.Launched {
		launched, err := c.Launch(ctx, client.LaunchRequest{Type: "IDENTITY_REFRESH"})
		if err != nil {
			t.Fatal(err)
		}
		return launched
	}
	want, seen := map[string]string{}, map[string]string{}
	var old []*client.Launched
	for range 3 {
		l := launch()
		old = append(old, l)
		want[l.ID] = "queued"
	}
	after := ""
	read := func() {
		for deadline := time.After(time.Minute); !maps.Equal(seen, want); {
			select {
			case e := <-stays:
				if after = e.ID; e.Task != nil {
					seen[e.Task.ID] = e.Name
				}
			case <-deadline:
				t.Fatalf("seen is %v, want %v", seen, want)
			}
		}
	}
	read()
	for round := range 3 {
		s.kill()
		s.start(t)
		if _, err := c.Clear(ctx, old[round].ID, client.ClearRequest{Status: client.Failure}); err != nil {
			t.Fatal(err)
		}
		want[old[round].ID] = "completed"
		l := launch()
		want[l.ID] = "queued"
		before := after
		read()
		got := ""
		for e, err := range c.Events(ctx, client.EventOptions{After: before}) {
			if err != nil {
				t.Fatal(err)
			}
			if got += e.Name + " "; e.Task != nil && e.Task.ID == l.ID {
				break
			}
		}
		if got != "ready completed queued " {
			t.Errorf("round %d: behind the kill the events are %s", round, got)
		}
	}
}
