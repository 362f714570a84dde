package engine

import (
	"context"
	"testing"
	"time"

	"stint/internal/store/postgres"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/task"
)

// newNeighbours makes the tasks of two processes on one database. The first one
// listens.
func newNeighbours(t *testing.T) (listening, other *Tasks) {
	t.Helper()
	url := pgtest.URL(t)
	var both [2]*Tasks
	for i := range both {
		store, err := postgres.Open(t.Context(), postgres.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		both[i] = NewTasks(Options{Store: store, Now: time.Now, ReportKey: []byte("key"), Bus: store})
		t.Cleanup(both[i].Close)
	}
	l := NewListener(both[0], NewFeed(both[0], nil, discard()), discard())
	l.Start(t.Context())
	t.Cleanup(l.Stop)
	awaitHearing(t, both[0], both[1])
	return both[0], both[1]
}

// awaitHearing waits until one hears the other: twice, as the first may be that it
// catches up, which it does no more from then on.
func awaitHearing(t *testing.T, here, there *Tasks) {
	t.Helper()
	const nobody task.ID = "0000000000000000000000000000000a"
	changed, unwatch := here.hub.watch(nobody)
	defer unwatch()
	for heard, deadline := 0, time.After(30*time.Second); heard < 2; {
		there.bus.Announce(nobody)
		select {
		case <-changed:
			heard++
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatal("nothing is heard")
		}
	}
}

// TestWhatAnotherProcessEnds: who waits for it here wakes, and its work here stops,
// whether the announcement was heard or missed.
func TestWhatAnotherProcessEnds(t *testing.T) {
	t.Parallel()
	here, there := newNeighbours(t)
	definition, ok := task.NewCatalog().Lookup("IDENTITY_REFRESH")
	if !ok {
		t.Fatal("no definition")
	}
	for _, silent := range []bool{false, true} {
		l, err := here.Launch(t.Context(), task.Launch{Definition: definition}, task.IdempotencyKey{}, person())
		if err != nil {
			t.Fatal(err)
		}
		id := l.Task.ID
		changed, unwatch := here.hub.watch(id)
		defer unwatch()
		working, stop := context.WithCancel(t.Context())
		defer here.onEnd(id, stop)()
		if silent {
			there = NewTasks(Options{Store: there.store, Now: time.Now}) // it has no bus
		}
		if _, err := there.Cancel(t.Context(), id, "", person()); err != nil {
			t.Fatal(err)
		}
		if silent {
			NewListener(here, NewFeed(here, nil, discard()), discard()).catchUp(t.Context())
		}
		receive(t, changed)
		receive(t, working.Done())
	}
}
