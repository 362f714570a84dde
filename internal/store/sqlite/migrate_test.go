package sqlite

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/store/tally"
	"stint/internal/task"
)

// writeFirstVersion makes a database as the first version of the schema had it,
// with tasks, and what goes with each of them.
func writeFirstVersion(t *testing.T, path string, tasks []task.Task) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	script, err := migrations.ReadFile("migrations/001_tasks.sql")
	if err != nil {
		t.Fatal(err)
	}
	exec("PRAGMA journal_mode=WAL")
	exec(string(script))
	exec(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=1", applicationID))
	deltas := tally.Deltas{}
	for i := range tasks {
		tk := &tasks[i]
		wire, err := tk.MarshalWire()
		if err != nil {
			t.Fatal(err)
		}
		exec(`INSERT INTO tasks (id, created, modified, launched, completed, status, kind, type, source_id, launcher, attempt,
			sequence, last_report, heartbeat_limit, deadline, cancel_requested, cancel_reason, reported, wire)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sqlrow.Blob(tk.ID), tk.Created.UnixMilli(), tk.Modified.UnixMilli(), sqlrow.Millis(tk.Launched), sqlrow.Millis(tk.Completed), sqlrow.Text(string(tk.Status)),
			string(tk.Kind), string(tk.Type), sqlrow.Text(tk.SourceID), tk.Launcher, tk.Attempt, tk.Sequence, sqlrow.Millis(tk.LastReport),
			tk.HeartbeatLimit.Milliseconds(), sqlrow.Millis(tk.HeartbeatDeadline()), sqlrow.Millis(tk.CancelRequested), sqlrow.Text(tk.CancelReason),
			sqlrow.Text(string(tk.Reported)), wire)
		exec("INSERT INTO history VALUES (?, 1, ?, 'launched', 1, 'p', 'launched', '', 1)", sqlrow.Blob(tk.ID), tk.Created.UnixMilli())
		exec("INSERT INTO audit VALUES (NULL, ?, 'task.launch', 'p', '', '', '', ?, NULL, NULL, '', '')", tk.Created.UnixMilli(), string(tk.ID))
		exec("INSERT INTO idempotency VALUES (?, x'66', ?, ?)", "key "+string(tk.ID), sqlrow.Blob(tk.ID), tk.Created.UnixMilli())
		deltas.Add(tk, 1)
	}
	for k, n := range deltas {
		exec("INSERT INTO tallies VALUES (?, ?, ?, ?, ?)", k.Dimension, k.Value, k.Level, k.Bucket, n)
	}
}

// TestMigrateFirstVersion opens a database of the first version: its tasks are
// what they were, and everything works on it.
func TestMigrateFirstVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stint.db")
	tasks := tasksEvery(6, time.Second)
	now := tasks[5].Created.Add(time.Minute)
	tasks[1] = tasks[1].ApplyReport(task.Report{Attempt: 1, Sequence: 3}, now).Task // running, of another's
	tasks[2] = tasks[1].ApplyCancel("p", "r", now).Task
	tasks[2].ID, tasks[2].Created = tasksEvery(6, time.Second)[2].ID, tasksEvery(6, time.Second)[2].Created
	tasks[3] = tasks[3].ApplyReport(task.Report{Attempt: 1, Completion: task.Warning}, now).Task
	tasks[4].SourceID = "Source é"
	tasks[5].Description, tasks[5].Target = "the \u2028 description", &task.Target{ID: "t", Name: "Naïve"}
	writeFirstVersion(t, path, tasks)

	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var version int
	if err := s.readOne(t.Context(), "test", func(r reading) error { return r.queryRow("PRAGMA user_version").Scan(&version) }); err != nil || version != latest() {
		t.Errorf("version %d, %v, want %d", version, err, latest())
	}
	for i := range tasks {
		wantMigrated(t, s, tasks[i])
	}
	_, total, err := s.List(t.Context(), query.Page{
		Count: true, Filter: query.Null{Field: query.FieldStatus}, Sort: []query.Sorter{{Field: query.FieldCreated}},
	}, time.Time{})
	if err != nil || total != 5 {
		t.Errorf("%d are in progress, %v, want 5", total, err)
	}
	rows, _, err := s.List(t.Context(), query.Page{
		Limit: 9, Filter: query.And{Terms: []query.Expr{
			query.Compare{Field: query.FieldTargetName, Values: []string{"naïve"}},
			query.Compare{Field: query.FieldTargetID, Values: []string{"T"}},
			query.Contains{Field: query.FieldDescription, Value: "\u2028 DESC"},
			query.Compare{Field: query.FieldUniqueName, Values: []string{tasks[5].UniqueName}},
		}}, Sort: []query.Sorter{{Field: query.FieldCreated}},
	}, time.Time{})
	if err != nil || len(rows) != 1 || rows[0].ID != tasks[5].ID {
		t.Errorf("by name, description and target: %v, %v", rows, err)
	}
	if open, err := s.BuiltIn(t.Context(), -1, 10); err != nil || len(open) != 0 {
		t.Errorf("Stint runs %v, %v; others run them all", open, err)
	}
	again := tasks[0]
	again.ID = task.ID(fmt.Sprintf("%032x", 99))
	stored, created, err := s.Create(t.Context(), task.Change{Task: again}, task.IdempotencyKey{Key: "key " + string(tasks[0].ID), Fingerprint: []byte("f")}, audit.Entry{})
	if err != nil || created || stored.ID != tasks[0].ID {
		t.Errorf("the repeat of a launch: %s, %v, %v", stored.ID, created, err)
	}
	// And what the first version did not have.
	stored, err = s.Update(t.Context(), tasks[0].ID, time.Time{}, func(tk task.Task) (audit.Change, error) {
		return audit.Change{Change: tk.ApplyReport(task.Report{Attempt: 1, Completion: task.Success}, now)}, nil
	})
	if err != nil || stored.Status != task.Success {
		t.Errorf("a report: %q, %v", stored.Status, err)
	}
	src := addSource(t, s, 8)
	_, _, err = s.CreateRun(t.Context(), account.Run{TaskID: again.ID, SourceID: src.ID, Class: account.Accounts}, task.Change{Task: again}, nil,
		task.IdempotencyKey{}, func(*task.Task) (audit.Entry, error) { return audit.Entry{}, nil })
	if err != nil {
		t.Errorf("an aggregation: %v", err)
	}
	if n, err := s.Purge(t.Context(), now, 100, func(tk task.Task) (audit.Change, error) {
		return audit.Change{Change: task.Change{Task: tk}}, nil
	}); err != nil || n != 7 {
		t.Errorf("purged %d, %v, want 7", n, err)
	}
}

// wantMigrated fails unless a task, its history and its audit entry are as they
// were written.
func wantMigrated(t *testing.T, s *Store, want task.Task) {
	t.Helper()
	got, err := s.Update(t.Context(), want.ID, time.Time{}, func(tk task.Task) (audit.Change, error) {
		return audit.Change{Change: task.Change{Task: tk}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.MarshalWire()
	if err != nil {
		t.Fatal(err)
	}
	wire, err := want.MarshalWire()
	if err != nil {
		t.Fatal(err)
	}
	row, err := s.Get(t.Context(), want.ID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for how, got := range map[string][]byte{"read": row.Wire, "in a write": again} {
		if diff := cmp.Diff(string(wire), string(got)); diff != "" {
			t.Errorf("task %s, %s (-want +got):\n%s", want.ID, how, diff)
		}
	}
	if got.BuiltIn || got.Job != 0 || got.Interruptions != 0 || got.Attempt != want.Attempt || got.Sequence != want.Sequence ||
		!got.LastReport.Equal(want.LastReport) || got.CancelReason != want.CancelReason || got.SourceID != want.SourceID {
		t.Errorf("task %s is %+v", want.ID, got)
	}
	events, err := s.History(t.Context(), want.ID)
	if err != nil || len(events) != 1 {
		t.Errorf("task %s has the history %v, %v", want.ID, events, err)
	}
	entries, err := s.Audit(t.Context(), string(want.ID))
	if err != nil || len(entries) != 1 {
		t.Errorf("task %s has the audit %v, %v", want.ID, entries, err)
	}
}
