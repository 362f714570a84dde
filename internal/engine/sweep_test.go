package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// heap is garbage that goes a piece at a time.
type heap struct {
	left   int
	err    error
	calls  int
	before time.Time
	limit  int
	during func()
}

// Sweep implements Sweeper.
func (h *heap) Sweep(_ context.Context, before time.Time, limit int) (bool, error) {
	h.calls++
	h.before, h.limit = before, limit
	if h.during != nil {
		h.during()
	}
	if h.err != nil {
		return true, h.err
	}
	h.left = max(0, h.left-1)
	return h.left > 0, nil
}

func TestSweepGoesOnUntilThereIsNoMore(t *testing.T) {
	t.Parallel()
	clock, h := newClock(), &heap{left: 5}
	s := NewSweep(h, true, clock.Now, discard())
	s.runOnce(t.Context())
	if h.left != 0 || h.calls != 5 {
		t.Errorf("%d are left after %d calls", h.left, h.calls)
	}
	// What arrived before the start arrives no more.
	if want := clock.Now(); !h.before.Equal(want) || h.limit != sweepBatch {
		t.Errorf("uploads stand still since %s, %d rows at once; want %s, %d", h.before, h.limit, want, sweepBatch)
	}
	clock.Add(3 * time.Hour)
	s.runOnce(t.Context())
	if want := clock.Now().Add(-time.Hour); !h.before.Equal(want) {
		t.Errorf("uploads stand still since %s; want %s", h.before, want)
	}
}

func TestSweepStops(t *testing.T) {
	t.Parallel()
	h := &heap{left: 5}
	NewSweep(h, true, newClock().Now, discard()).runOnce(cancelled(t))
	if h.calls != 0 {
		t.Errorf("%d calls though it was stopped before", h.calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	h.during = cancel
	NewSweep(h, true, newClock().Now, discard()).runOnce(ctx)
	if h.calls != 1 {
		t.Errorf("%d calls though it was stopped in the first", h.calls)
	}
}

// TestSweepFails logs a failure, unless it is that of its own stop, and tries
// again at the next tick alone.
func TestSweepFails(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := &heap{left: 5, err: errors.New("the disk is on fire")}
	s := NewSweep(h, true, newClock().Now, slog.New(slog.NewTextHandler(&log, nil)))
	s.runOnce(t.Context())
	if h.calls != 1 || strings.Count(log.String(), "on fire") != 1 {
		t.Errorf("%d calls, log %q", h.calls, log.String())
	}
	log.Reset()
	ctx, cancel := context.WithCancel(t.Context())
	h.during = cancel
	s.runOnce(ctx)
	if log.Len() > 0 {
		t.Errorf("a stop is logged: %q", log.String())
	}
	h.during, h.err = nil, nil
	s.runOnce(t.Context())
	if h.left != 0 {
		t.Errorf("%d are left once it works again", h.left)
	}
}

// TestSweepOverTime runs the loop on a real store: an upload goes an hour after
// something was last added to it, and no sooner.
func TestSweepOverTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stint.db")
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		s := NewSweep(store, true, time.Now, discard())
		s.Start(t.Context())
		defer func() { // whatever failed: nothing may be left in the bubble
			s.Stop()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}()
		const id task.ID = "0000000000000000000000000000000a"
		if err := store.BeginUpload(t.Context(), id, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute)
		if err := store.AppendUpload(t.Context(), id, 0, []byte("a"), time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Second)
		if data, err := store.ReadUpload(t.Context(), id, 0); err != nil || string(data) != "a" {
			t.Errorf("before its time: %q, %v", data, err)
		}
		time.Sleep(5 * time.Second)
		if _, err := store.ReadUpload(t.Context(), id, 0); task.KindOf(err) != task.NotFound {
			t.Errorf("after its time: %v", err)
		}
	})
}
