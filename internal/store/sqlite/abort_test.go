package sqlite

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

// Readers whose callers hang up, at whatever moment, must be as good as new for
// the next: none may stay in a transaction, which would show it the past.
func TestAbortedReadsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "stint.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	launch := func(n byte) task.ID {
		id := task.ID("000000000000000000000000000000" + string([]byte{'a' + n/16, "0123456789abcdef"[n%16]}))
		c, err := task.NewTask(id, task.Launch{Definition: task.NewCatalog().Definitions()[0]}, "a test", now)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Create(t.Context(), c, task.IdempotencyKey{}, audit.Entry{At: now}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	page := query.Page{Limit: 250, Count: true, Sort: []query.Sorter{{Field: query.FieldCreated, Desc: true}}}
	for n := range byte(50) {
		launch(n)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for range 400 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(1500))*time.Microsecond)
				_, _, _ = s.List(ctx, page, time.Time{})
				cancel()
			}
		})
	}
	wg.Wait()
	last := launch(60)
	// Each reader in turn: the pool hands them out first in, first out.
	for range 2 * cap(s.readers) {
		if _, err := s.Get(t.Context(), last, time.Time{}); err != nil {
			t.Errorf("a reader does not see the last task: %v", err)
		}
		if rows, total, err := s.List(t.Context(), page, time.Time{}); err != nil || len(rows) != 51 || total != 51 {
			t.Errorf("a list: %d rows, %d in all, %v, want 51", len(rows), total, err)
		}
	}
}
