package storetest

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/audit"
	"stint/internal/task"
)

func testImport(t trial) {
	s := t.store
	tasks := append(crowd(20, 5), emptyTask())
	now := start().Add(time.Hour)
	for i, want := range []task.ImportResult{{Added: 21}, {Unchanged: 21}} {
		result, err := s.Import(t.Context(), seq(tasks), i == 1, now, importEntry)
		if err != nil || result != want {
			t.Fatalf("import: %+v, %v; want %+v", result, err, want)
		}
		for _, tk := range tasks {
			wantStored(t, s, tk)
			events := history(t, s, tk.ID)
			if got := names(events); got != "imported" || !events[0].At.Equal(now) {
				t.Errorf("the history of %s: %v", tk.ID, events)
			}
		}
	}
	got := entries(t, s, "tasks.ndjson")
	if len(got) != 2 || string(got[0].After) != `{"Added":21,"Unchanged":0,"Replaced":0}` || string(got[1].After) != `{"Added":0,"Unchanged":21,"Replaced":0}` {
		t.Errorf("the audit: %+v", got)
	}
	// The same task twice in a file is one.
	twice := launched(t, 1).Task
	if result, err := s.Import(t.Context(), seq([]task.Task{twice, twice}), false, now, importEntry); err != nil || result != (task.ImportResult{Added: 1, Unchanged: 1}) {
		t.Errorf("twice: %+v, %v", result, err)
	}
}

func testImportAllOrNothing(t trial) {
	s := t.store
	stored := launch(t, s, 1)
	fresh := crowd(3, 6)
	other := stored
	other.UniqueName = "another"
	mistake := errors.New("line 4: mistake")
	for name, tasks := range map[string]func(yield func(task.Task, error) bool){
		"conflict": seq(append(slices.Clone(fresh), other)),
		"read error": func(yield func(task.Task, error) bool) {
			for _, tk := range fresh {
				if !yield(tk, nil) {
					return
				}
			}
			yield(task.Task{}, mistake)
		},
	} {
		result, err := s.Import(t.Context(), tasks, false, start(), importEntry)
		if name == "conflict" {
			_ = wantKind(t, err, task.Conflict)
		} else if !errors.Is(err, mistake) {
			t.Errorf("%s: %v", name, err)
		}
		if result != (task.ImportResult{}) {
			t.Errorf("%s: the result is %+v", name, result)
		}
		wantCount(t, s, 1)
		wantStored(t, s, stored)
		for _, tk := range fresh {
			if got := history(t, s, tk.ID); len(got) != 0 {
				t.Errorf("%s: the history of %s: %v", name, tk.ID, got)
			}
		}
		if got := entries(t, s, "tasks.ndjson"); len(got) != 0 {
			t.Errorf("%s: the audit: %v", name, got)
		}
	}
}

// testImportReplaces has a worker on the task that is replaced: it is stale
// from then on.
func testImportReplaces(t trial) {
	s := t.store
	tk := launch(t, s, 1)
	update(t, s, tk.ID, func(tk task.Task) task.Change {
		return tk.ApplyReport(task.Report{Attempt: 1, Sequence: 9}, start())
	})
	other := emptyTask()
	other.ID, other.SourceID, other.Created = tk.ID, "elsewhere", start().Add(-time.Hour)
	other.Modified = other.Created
	result, err := s.Import(t.Context(), seq([]task.Task{other}), true, start(), importEntry)
	if err != nil || result != (task.ImportResult{Replaced: 1}) {
		t.Fatalf("replace: %+v, %v", result, err)
	}
	want := other
	want.Attempt = 2
	wantStored(t, s, want)
	wantCount(t, s, 1)
	if got := names(history(t, s, tk.ID)); got != "launched started replaced" {
		t.Errorf("the history is %q", got)
	}
	_, err = s.Update(t.Context(), tk.ID, everything(), change(func(tk task.Task) task.Change {
		return tk.ApplyReport(task.Report{Attempt: 1, Sequence: 10}, start())
	}))
	if e := wantKind(t, err, task.Conflict); e.Refused != task.RefusedStale {
		t.Errorf("the old worker is refused as %q, want stale", e.Refused)
	}
	if got, err := s.Overdue(t.Context(), start().Add(1000*time.Hour), 10); err != nil || len(got) != 0 {
		t.Errorf("nobody reported the new one yet: %v, %v", got, err)
	}
}

// testExport goes there and back: what one export says, its import says too.
func testExport(t trial) {
	s := t.store
	tasks := append(crowd(50, 7), fullTask(), emptyTask())
	for _, tk := range tasks {
		create(t, s, task.Change{Task: tk, Changed: true})
	}
	var rows []task.Row
	if err := s.Export(t.Context(), func(r task.Row) error {
		r.Wire = bytes.Clone(r.Wire)
		rows = append(rows, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expected(tasks, nil, everything(), false), idsOf(t, rows)); diff != "" {
		t.Fatalf("all tasks, oldest first (-want +got):\n%s", diff)
	}
	again := make([]task.Task, len(rows))
	for i, r := range rows {
		again[i] = task.Task{Kind: r.Kind, SourceID: r.SourceID, Attempt: 1}
		if err := again[i].UnmarshalWire(r.Wire); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(show(get(t, s, again[i].ID)), show(r)); diff != "" {
			t.Errorf("row %d differs from what a read gets (-read +exported):\n%s", i, diff)
		}
	}
	result, err := s.Import(t.Context(), seq(again), false, start(), importEntry)
	if err != nil || result != (task.ImportResult{Unchanged: len(tasks)}) {
		t.Errorf("import of the export: %+v, %v", result, err)
	}
	mistake := errors.New("mistake")
	n := 0
	if err := s.Export(t.Context(), func(task.Row) error { n++; return mistake }); !errors.Is(err, mistake) || n != 1 {
		t.Errorf("an export that cannot be written: %d rows, %v", n, err)
	}
	// A write in the middle of an export neither waits nor shows.
	n = 0
	if err := s.Export(t.Context(), func(task.Row) error {
		if n++; n == 1 {
			c := launched(t, 1)
			_, _, err := s.Create(t.Context(), c, task.IdempotencyKey{}, audit.Entry{})
			return err
		}
		return nil
	}); err != nil || n != len(tasks) {
		t.Errorf("an export with a write beside it: %d rows, %v", n, err)
	}
}
