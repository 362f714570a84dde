package sqlite

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"stint/internal/audit"
	"stint/internal/store/dump"
	"stint/internal/task"
)

// TestEveryColumnMoves holds the list of what moves against the tables: a column
// that a later version adds moves too, or is named here with its reason.
func TestEveryColumnMoves(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	moved := map[string]bool{}
	for _, table := range dump.Tables() {
		for _, c := range table.Columns {
			moved[table.Name+"."+c.Name] = true
		}
	}
	for _, made := range []string{
		// Row numbers that nothing refers to.
		"tasks.seq", "accounts.seq", "entitlements.seq", "audit.seq", "clients.seq", "deliveries.seq",
		// What follows from the rows.
		"tasks.duration", "tasks.unique_name", "tasks.description", "tasks.target_id", "tasks.target_name", "tasks.percent",
		"tasks.deadline", "tallies.dimension", "tallies.value", "tallies.level", "tallies.bucket", "tallies.n",
		"entitlements.attribute", "entitlements.native_identity",
		"tasks.unique_name", "tasks.description", "tasks.target_id", "tasks.target_name", "tasks.percent", "tasks.duration",
		// What is of this database alone.
		"tasks.changed", "webhooks.position", "feed.one", "feed.id", "feed.changed",
		// As sequences.
		"sqlite_sequence.name", "sqlite_sequence.seq",
	} {
		moved[made] = true
	}
	var left []string
	err := s.readOne(t.Context(), "test", func(r reading) error {
		return r.each(func(row rowScanner) error {
			var name string
			err := row.Scan(&name)
			if !moved[name] {
				left = append(left, name)
			}
			return err
		}, "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'")
	})
	if err != nil || len(left) > 0 {
		t.Errorf("these do not move: %v, %v", left, err)
	}
}

// TestRestoreWantsTheFileForItself: another process may have it open.
func TestRestoreWantsTheFileForItself(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stint.db")
	served, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = served.Close() })
	beside, err := Open(t.Context(), Options{Path: path, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = beside.Close() })
	restore := func(s *Store) error {
		_, err := s.Restore(t.Context(), func(yield func(dump.Row, error) bool) {
			var rows []dump.Row
			err := s.Dump(t.Context(), func(r dump.Row) error { rows = append(rows, r); return nil })
			if err != nil {
				t.Error(err)
			}
			for r := range slices.Values(rows) {
				if !yield(r, nil) {
					return
				}
			}
		}, func(dump.Counts) audit.Entry { return audit.Entry{Object: "a dump"} })
		return err
	}
	if err := restore(beside); task.KindOf(err) != task.Conflict {
		t.Errorf("beside a server: %v", err)
	}
	if err := errors.Join(beside.Close(), restore(served)); err != nil {
		t.Error(err)
	}
}
