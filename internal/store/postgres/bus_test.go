package postgres

import (
	"context"
	"fmt"
	"testing"
	"time"

	"stint/internal/store/postgres/pgtest"
	"stint/internal/task"
)

// hearing is what a store has heard.
type hearing struct {
	heard           chan task.ID
	changed, missed chan struct{}
}

func listen(t *testing.T, s *Store) *hearing {
	t.Helper()
	h := &hearing{heard: make(chan task.ID, 10_000), changed: make(chan struct{}, 1000), missed: make(chan struct{}, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Listen(ctx, func(id task.ID) { h.heard <- id }, func() { h.changed <- struct{}{} }, func() { h.missed <- struct{}{} })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	h.await(t, h.missed)
	return h
}

// await waits until something was missed: until there is a connection.
func (h *hearing) await(t *testing.T, what <-chan struct{}) {
	t.Helper()
	select {
	case <-what:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing comes")
	}
}

// wantHeard waits until all of some ids were heard.
func (h *hearing) wantHeard(t *testing.T, ids map[task.ID]bool) {
	t.Helper()
	for deadline := time.After(30 * time.Second); len(ids) > 0; {
		select {
		case id := <-h.heard:
			delete(ids, id)
		case <-deadline:
			t.Fatalf("%d of the announcements were not heard", len(ids))
		}
	}
}

func ids(n int) map[task.ID]bool {
	made := map[task.ID]bool{}
	for i := range n {
		made[task.ID(fmt.Sprintf("%032x", i))] = true
	}
	return made
}

// TestNodesHearEachOther: also more at once than fit into one notification, and
// after a connection that was lost, which is told.
func TestNodesHearEachOther(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	speaker, listener := open(t, url), open(t, url+"&application_name=hearing")
	stranger := listen(t, open(t, pgtest.URL(t))) // of another schema
	h := listen(t, listener)
	announce := func(n int) {
		for id := range ids(n) {
			speaker.Announce(id)
		}
		h.wantHeard(t, ids(n))
	}
	announce(1)
	announce(3 * announceMany)
	killAll(t, listener)
	h.await(t, h.missed)
	announce(1)
	if n := len(stranger.heard); n > 0 {
		t.Errorf("%d announcements reached another schema", n)
	}
}

// TestCloseAnnouncesWhatWaits: the last that a node does is what others wait for.
func TestCloseAnnouncesWhatWaits(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	speaker := open(t, url)
	h := listen(t, open(t, url))
	for id := range ids(100) {
		speaker.Announce(id)
	}
	if err := speaker.Close(); err != nil {
		t.Fatal(err)
	}
	h.wantHeard(t, ids(100))
}
