package engine

import (
	"testing"
	"time"

	"stint/internal/query"
	"stint/internal/task"
)

func (b *bench) count(tb testing.TB) int64 {
	tb.Helper()
	_, n, err := b.store.List(tb.Context(), query.Page{Count: true, Sort: []query.Sorter{{Field: query.FieldCreated}}}, time.Time{})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestRetention(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	keep := time.Hour
	retention := NewRetention(b.Tasks, keep, discard())
	ended, running, queued := b.running(t, 0), b.running(t, 0), b.launch(t, 0)
	b.report(t, ended, task.Report{Completion: task.Success})
	b.clock.Add(time.Millisecond)
	younger := b.launch(t, 0)

	b.clock.Add(keep - 2*time.Millisecond)
	retention.runOnce(t.Context())
	if n := b.count(t); n != 4 {
		t.Fatalf("%d tasks are left a millisecond early, want 4", n)
	}
	b.clock.Add(time.Millisecond)
	retention.runOnce(t.Context())
	if n := b.count(t); n != 1 {
		t.Fatalf("%d tasks are left, want 1", n)
	}
	b.wantState(t, younger.Task.ID, task.Queued)
	for id, want := range map[task.ID]string{
		ended.Task.ID: "task.launch by p; ", running.Task.ID: "task.launch by p; task.expire by System; ", queued.Task.ID: "task.launch by p; task.expire by System; ",
	} {
		if got := b.audit(t, id); got != want {
			t.Errorf("the audit: %q, want %q", got, want)
		}
		if got := b.history(t, id); got != "" {
			t.Errorf("the history is left: %q", got)
		}
	}
	entries, err := b.store.Audit(t.Context(), string(running.Task.ID))
	if err != nil || len(entries) != 2 || string(entries[1].Before) == "" || string(entries[1].After) == "" || entries[1].Reason == "" {
		t.Errorf("the entry of the end: %+v, %v", entries, err)
	}
	// Its worker comes back: there is no task any more.
	_, err = b.Report(t.Context(), running.Task.ID, running.ReportToken, task.Report{Attempt: 1})
	_ = wantKind(t, err, task.NotFound)
}

func TestRetentionInBatches(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const n = 2*retentionBatch + 50
	b.launchMany(t, n, 0, false)
	b.clock.Add(time.Hour)
	NewRetention(b.Tasks, 0, discard()).runOnce(t.Context()) // for ever
	NewRetention(b.Tasks, time.Hour, discard()).runOnce(cancelled(t))
	if got := b.count(t); got != n {
		t.Fatalf("%d are left, want %d", got, n)
	}
	NewRetention(b.Tasks, time.Hour, discard()).runOnce(t.Context())
	if got := b.count(t); got != 0 {
		t.Errorf("%d are left after one run", got)
	}
}
