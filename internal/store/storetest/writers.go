package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

const (
	writers = 16
	rounds  = 20
)

// atOnce runs fn for many numbers, several at the same time.
func atOnce(fn func(n int)) {
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for r := range rounds {
				fn(w*rounds + r)
			}
		})
	}
	wg.Wait()
}

func wantCount(tb testing.TB, s Store, want int) {
	tb.Helper()
	_, total, err := s.List(tb.Context(), query.Page{Count: true, Sort: newestFirst()}, everything())
	if err != nil || total != int64(want) {
		tb.Errorf("%d tasks, %v; want %d", total, err, want)
	}
	n := 0
	if err := s.Export(tb.Context(), func(task.Row) error { n++; return nil }); err != nil || n != want {
		tb.Errorf("%d tasks exported, %v; want %d", n, err, want)
	}
}

// testManyWriters also reads what was written, at once: an answered write can
// be read by everybody.
func testManyWriters(t trial) {
	s := t.store
	atOnce(func(n int) {
		c := launched(t, n)
		if _, _, err := s.Create(t.Context(), c, task.IdempotencyKey{Key: strconv.Itoa(n), Fingerprint: []byte("f")}, launchEntry(c)); err != nil {
			t.Errorf("create %d: %v", n, err)
			return
		}
		if _, err := s.Get(t.Context(), c.Task.ID, everything()); err != nil {
			t.Errorf("get %d at once: %v", n, err)
		}
		text := fmt.Sprint("step ", n)
		want, err := s.Update(t.Context(), c.Task.ID, everything(), change(func(tk task.Task) task.Change {
			return tk.ApplyReport(task.Report{Attempt: 1, Sequence: 1, Progress: &text}, start())
		}))
		if err != nil || want.Progress == nil || *want.Progress != text {
			t.Errorf("report %d: %v", n, err)
			return
		}
		row, err := s.Get(t.Context(), c.Task.ID, everything())
		if wire, merr := want.MarshalWire(); err != nil || merr != nil || string(row.Wire) != string(wire) {
			t.Errorf("read %d at once: %s, %v, %v", n, row.Wire, err, merr)
		}
	})
	wantCount(t, s, writers*rounds)
	for n := range writers * rounds {
		if got := names(history(t, s, idOf(n))); got != "launched started" {
			t.Fatalf("the history of %d is %q", n, got)
		}
	}
}

// testFailingNeighbours has writes of which some fail: those write nothing and
// harm no other.
func testFailingNeighbours(t trial) {
	s := t.store
	mistake := errors.New("mistake")
	taken := launch(t, s, 1<<20)
	made := 1
	var mu sync.Mutex
	atOnce(func(n int) {
		c := launched(t, n)
		switch n % 4 {
		case 0: // fails after it has written: the id is taken
			c.Task.ID = taken.ID
			if _, _, err := s.Create(t.Context(), c, task.IdempotencyKey{Key: strconv.Itoa(n), Fingerprint: []byte("f")}, launchEntry(c)); err == nil {
				t.Errorf("create %d: an id was given out twice", n)
			}
			return
		case 1: // the caller's own error
			_, err := s.Update(t.Context(), taken.ID, everything(), func(tk task.Task) (audit.Change, error) {
				return audit.Change{Change: task.Change{Task: tk, Changed: true, Events: []task.Event{{Name: task.EventCleared}}}}, mistake
			})
			if !errors.Is(err, mistake) {
				t.Errorf("update %d: %v", n, err)
			}
			return
		case 2: // fails in the middle: half of the import is good
			_, err := s.Import(t.Context(), func(yield func(task.Task, error) bool) {
				_ = yield(c.Task, nil) && yield(task.Task{}, mistake)
			}, false, start(), importEntry)
			if !errors.Is(err, mistake) {
				t.Errorf("import %d: %v", n, err)
			}
			return
		}
		if _, _, err := s.Create(t.Context(), c, task.IdempotencyKey{}, launchEntry(c)); err != nil {
			t.Errorf("create %d: %v", n, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		made++
	})
	wantCount(t, s, made)
	wantStored(t, s, taken)
	if got := names(history(t, s, taken.ID)); got != "launched" {
		t.Errorf("the history is %q", got)
	}
	for n := range writers * rounds {
		want := ""
		if n%4 == 3 {
			want = "launched"
		}
		if got := names(history(t, s, idOf(n))); got != want {
			t.Fatalf("the history of %d is %q, want %q", n, got, want)
		}
	}
	if got := entries(t, s, "tasks.ndjson"); len(got) != 0 {
		t.Errorf("failed imports left %d entries", len(got))
	}
}

// testCancelledNeighbours has callers that give up at any moment: their writes
// are there in whole or not at all, and harm no other.
func testCancelledNeighbours(t trial) {
	s := t.store
	var mu sync.Mutex
	answered := map[int]bool{}
	atOnce(func(n int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		impatient := n%2 == 0
		if impatient {
			timer := time.AfterFunc(time.Duration(n%40)*50*time.Microsecond, cancel)
			defer timer.Stop()
		}
		c := launched(t, n)
		_, _, err := s.Create(ctx, c, task.IdempotencyKey{}, launchEntry(c))
		if err != nil && (!impatient || !errors.Is(err, context.Canceled)) {
			t.Errorf("create %d: %v", n, err)
		}
		mu.Lock()
		defer mu.Unlock()
		answered[n] = err == nil
	})
	made := 0
	for n := range writers * rounds {
		_, err := s.Get(t.Context(), idOf(n), everything())
		events, audited := names(history(t, s, idOf(n))), actions(entries(t, s, string(idOf(n))))
		switch {
		case err == nil && events == "launched" && audited == "task.launch":
			made++
		case task.KindOf(err) == task.NotFound && events == "" && audited == "" && !answered[n]:
		default:
			t.Fatalf("create %d was answered: %v; then %v, events %q, entries %q", n, answered[n], err, events, audited)
		}
	}
	wantCount(t, s, made)
}
