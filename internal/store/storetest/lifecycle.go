package storetest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

func testSettings(t trial) {
	s := t.store
	for _, initial := range []string{"first\x00\xff", "second"} {
		got, err := s.Setting(t.Context(), "a", []byte(initial))
		if err != nil || string(got) != "first\x00\xff" {
			t.Errorf("got %q, %v; want the first value ever given", got, err)
		}
	}
	var wg sync.WaitGroup
	got := make([][]byte, 8)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = s.Setting(t.Context(), "b", []byte{byte(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, v := range got {
		if !bytes.Equal(v, got[0]) {
			t.Errorf("all must get the same value: %q", got)
		}
	}
}

// calls are one of each method.
func calls(tb testing.TB, s Store) map[string]func(context.Context) error {
	tb.Helper()
	id := idOf(1)
	c, other := launched(tb, 2), launched(tb, 3)
	all := map[string]func(context.Context) error{
		"get": func(ctx context.Context) error { _, err := s.Get(ctx, id, everything()); return err },
		"list": func(ctx context.Context) error {
			_, _, err := s.List(ctx, query.Page{Limit: 5, Count: true, Sort: newestFirst()}, everything())
			return err
		},
		"history": func(ctx context.Context) error { _, err := s.History(ctx, id); return err },
		"audit":   func(ctx context.Context) error { _, err := s.Audit(ctx, string(id)); return err },
		"create": func(ctx context.Context) error {
			_, _, err := s.Create(ctx, c, task.IdempotencyKey{Key: "k", Fingerprint: []byte("f")}, launchEntry(c))
			return err
		},
		"update": func(ctx context.Context) error {
			_, err := s.Update(ctx, id, everything(), func(tk task.Task) (audit.Change, error) {
				return audit.Change{Change: tk.ApplyCancel("p", "", start())}, nil
			})
			return err
		},
		"overdue": func(ctx context.Context) error { _, err := s.Overdue(ctx, start(), 5); return err },
		"purge": func(ctx context.Context) error {
			_, err := s.Purge(ctx, start().Add(time.Hour), 5, keep)
			return err
		},
		"setting": func(ctx context.Context) error { _, err := s.Setting(ctx, "s", []byte{}); return err },
		"import": func(ctx context.Context) error {
			_, err := s.Import(ctx, seq([]task.Task{other.Task}), true, start(), importEntry)
			return err
		},
		"export": func(ctx context.Context) error { return s.Export(ctx, func(task.Row) error { return nil }) },
		"ping":   s.Ping,
	}
	maps.Copy(all, sourceCalls(s))
	maps.Copy(all, recordCalls(s))
	maps.Copy(all, clientCalls(s))
	maps.Copy(all, webhookCalls(s))
	maps.Copy(all, runCalls(tb, s))
	return all
}

func testClosed(t trial) {
	s := t.store
	launch(t, s, 1)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	all := calls(t, s)
	// Writers at work while it closes are answered, one way or the other.
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				c := launched(t, 100+n*50+i)
				_, _, err := s.Create(t.Context(), c, task.IdempotencyKey{}, launchEntry(c))
				if err != nil && task.KindOf(err) != task.Unavailable {
					t.Errorf("create while the store closes: %v", err)
				}
				_, err = s.Get(t.Context(), idOf(1), everything())
				if err != nil && task.KindOf(err) != task.Unavailable {
					t.Errorf("get while the store closes: %v", err)
				}
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	wg.Wait()
	for name, call := range all {
		err := call(t.Context())
		if e, ok := errors.AsType[*task.Error](err); !ok || e.Kind != task.Unavailable || e.RetryAfter <= 0 {
			t.Errorf("%s after close: %v, want Unavailable with a time to retry after", name, err)
		}
	}
}

// testContexts has callers whose context ended before they called: nothing
// happens, and the error says why.
func testContexts(t trial) {
	s := t.store
	before := launch(t, s, 1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithTimeout(t.Context(), 0)
	defer cancelLate()
	for name, call := range calls(t, s) {
		if err := call(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", name, err)
		}
		if err := call(late); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, too late: %v", name, err)
		}
	}
	wantStored(t, s, before)
	wantCount(t, s, 1)
	// Reads that are cut off in the middle say so, and the store goes on.
	load(t, s, crowd(1500, 8))
	for n := range 60 {
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(time.Duration(n*100)*time.Microsecond, cancel)
		err := s.Export(ctx, func(task.Row) error { return nil })
		if err == nil {
			_, _, err = s.List(ctx, query.Page{
				Limit: 250, Offset: 500, Count: true, Sort: newestFirst(),
				Filter: query.Not{Term: query.Compare{Field: query.FieldID, Values: []string{string(idOf(1))}}},
			}, everything())
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("cut off: %v", err)
		}
		timer.Stop()
		cancel()
	}
	wantCount(t, s, 1501)
	for name, call := range calls(t, s) {
		if err := call(t.Context()); err != nil && task.KindOf(err) != task.NotFound {
			t.Errorf("%s afterwards: %v", name, err)
		}
	}
}
