package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/task"
)

// TestFoldAtOnce writes, purges, folds and counts from two nodes at the same time:
// each count is one that could be, and the last are exact.
func TestFoldAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	nodes := []*Store{open(t, url), open(t, url)}
	tasks := busy(400)
	ctx, stop := context.WithCancel(t.Context())
	var folders, writers sync.WaitGroup
	for _, s := range nodes {
		folders.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.FoldTallies(ctx); err != nil && ctx.Err() == nil {
					t.Errorf("fold: %v", err)
				}
			}
		})
		folders.Go(func() {
			for ctx.Err() == nil {
				_, n, err := s.List(ctx, query.Page{Count: true}, time.Time{})
				if ctx.Err() == nil && (err != nil || n < 0 || n > int64(len(tasks))) {
					t.Errorf("count: %d, %v", n, err)
				}
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			s := nodes[w%2]
			for i := w; i < len(tasks); i += 4 {
				tk := tasks[i]
				tk.Status, tk.Completed, tk.Launched = "", time.Time{}, time.Time{}
				if _, _, err := s.Create(ctx, task.Change{Task: tk, Changed: true}, task.IdempotencyKey{}, audit.Entry{}); err != nil {
					t.Errorf("create: %v", err)
				}
				if tasks[i].Status == "" {
					continue
				}
				_, err := s.Update(ctx, tk.ID, time.Time{}, func(task.Task) (audit.Change, error) {
					return audit.Change{Change: task.Change{Task: tasks[i], Changed: true}}, nil
				})
				if err != nil {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	writers.Wait()
	for _, s := range nodes {
		writers.Go(func() {
			n, err := s.Purge(ctx, tasks[99].Created, 50, func(tk task.Task) (audit.Change, error) {
				return audit.Change{Change: task.Change{Task: tk}}, nil
			})
			if err != nil || n != 50 {
				t.Errorf("purge: %d, %v", n, err)
			}
		})
	}
	writers.Wait()
	stop()
	folders.Wait()
	for range 2 {
		wantCounts(t, nodes[0], tasks[100:])
		fold(t, nodes[1])
	}
	var left, zero int
	err := nodes[0].pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM tally_changes), (SELECT count(*) FROM tallies WHERE n = 0)").Scan(&left, &zero)
	if err != nil || left+zero > 0 {
		t.Errorf("%d changes and %d empty counts are left, %v", left, zero, err)
	}
}

// wantCounts compares counts with what they count.
func wantCounts(tb testing.TB, s *Store, tasks []task.Task) {
	tb.Helper()
	want := map[string]int64{}
	for i := range tasks {
		want["all"]++
		want["status "+string(tasks[i].Status)]++
		want["source "+strings.ToLower(tasks[i].SourceID)]++
		want["kind "+string(tasks[i].Kind)]++
	}
	for what, n := range want {
		dimension, value, _ := strings.Cut(what, " ")
		var filter query.Expr
		switch dimension {
		case "status":
			filter = query.Compare{Field: query.FieldStatus, Values: []string{value}}
			if value == "" {
				filter = query.Null{Field: query.FieldStatus}
			}
		case "source":
			filter = query.Compare{Field: query.FieldSource, Values: []string{value}}
		case "kind":
			filter = query.Compare{Field: query.FieldKind, Values: []string{value}}
		}
		if _, got, err := s.List(tb.Context(), query.Page{Count: true, Filter: filter}, time.Time{}); err != nil || got != n {
			tb.Errorf("%s: %d, %v; want %d", what, got, err, n)
		}
	}
}

// TestUnfoldedIsBounded writes a lot where nothing folds but the writes.
func TestUnfoldedIsBounded(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	tasks := busy(1500)
	for i := range tasks {
		tasks[i].SourceID = fmt.Sprintf("source-%d", i)
	}
	for range 3 {
		load(t, s, tasks)
		if _, err := s.Purge(t.Context(), tasks[len(tasks)-1].Created, len(tasks), func(tk task.Task) (audit.Change, error) {
			return audit.Change{Change: task.Change{Task: tk}}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	var left int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM tally_changes").Scan(&left); err != nil || left > 2*maxUnfolded {
		t.Errorf("%d changes are left, %v", left, err)
	}
	wantTotal(t, s, 0)
}

// TestLongSource keeps sources apart that begin with the same thousand characters,
// more than an index holds.
func TestLongSource(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	tasks := busy(4)
	var begin strings.Builder
	for i := range 1000 {
		begin.WriteRune(rune(0x1f000 + i*37%0x500)) // hard to compress
	}
	for i := range tasks {
		tasks[i].SourceID = begin.String() + []string{"a", "B", "A", "c"}[i]
	}
	load(t, s, tasks)
	for i, want := range []int{2, 1, 2, 1} {
		for _, values := range [][]string{{tasks[i].SourceID}, {tasks[i].SourceID, "nowhere"}} {
			rows, n, err := s.List(t.Context(), query.Page{
				Limit: 10, Count: true, Filter: query.Compare{Field: query.FieldSource, Values: values},
				Sort: []query.Sorter{{Field: query.FieldCreated}},
			}, time.Time{})
			if err != nil || len(rows) != want || n != int64(want) {
				t.Errorf("%d: %d rows, %d counted, %v; want %d", i, len(rows), n, err, want)
			}
		}
	}
}
