package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
		names := columnNames(&table)
		for _, c := range names {
			moved[table.Name+"."+c] = true
		}
	}
	for _, made := range []string{
		// Row numbers that nothing refers to.
		"accounts.seq", "entitlements.seq",
		// What follows from the rows.
		"tasks.unique_name", "tasks.description", "tasks.target_id", "tasks.target_name", "tasks.percent",
		"deadlines.id", "deadlines.deadline", "tallies.dimension", "tallies.value", "tallies.level", "tallies.bucket", "tallies.n",
		"tally_changes.seq", "tally_changes.dimension", "tally_changes.value", "tally_changes.bucket", "tally_changes.n",
		"tasks.unique_name", "tasks.description", "tasks.target_id", "tasks.target_name", "tasks.percent",
		// What is of this database alone.
		"tally_fold.one", "stint_schema.version", "stint_schema.name", "stint_schema.applied",
		"nodes.id", "nodes.role", "nodes.started", "nodes.seen", "nodes.beat", "leads.one", "leads.holder", "leads.until",
		"webhooks.position", "feed.task_id", "feed.changed", "feed_origin.one", "feed_origin.id", "feed_numbers.last_value", "feed_numbers.log_cnt", "feed_numbers.is_called",
	} {
		moved[made] = true
	}
	var left []string
	err := s.readOne(t.Context(), "test", func(r reading) error {
		left = nil
		return r.each(func(row rowScanner) error {
			var name string
			err := row.Scan(&name)
			if !moved[name] {
				left = append(left, name)
			}
			return err
		}, "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = current_schema()")
	})
	if err != nil || len(left) > 0 {
		t.Errorf("these do not move: %v, %v", left, err)
	}
}

func restoreRows(t *testing.T, s *Store, rows []dump.Row) error {
	t.Helper()
	_, err := s.Restore(t.Context(), func(yield func(dump.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}, func(dump.Counts) audit.Entry { return audit.Entry{Object: "a dump"} })
	return err
}

func dumpRows(t *testing.T, s *Store) []dump.Row {
	t.Helper()
	var rows []dump.Row
	if err := s.Dump(t.Context(), func(r dump.Row) error { rows = append(rows, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestRestoreRefusesWhereAServerRuns: it would go on with a chain that is gone.
func TestRestoreRefusesWhereAServerRuns(t *testing.T) {
	t.Parallel()
	s, rows := openTemp(t), dumpRows(t, openTemp(t))
	if _, _, _, err := s.Beat(t.Context(), "a node", "all", time.Second); err != nil {
		t.Fatal(err)
	}
	if err := restoreRows(t, s, rows); task.KindOf(err) != task.Conflict || !strings.Contains(err.Error(), "a server has the database open") {
		t.Errorf("with a server: %v", err)
	}
	if err := s.Leave(t.Context(), "a node"); err != nil {
		t.Fatal(err)
	}
	if err := restoreRows(t, s, rows); err != nil {
		t.Errorf("after it has left: %v", err)
	}
}

// TestRestoreRefusesTextThatHasNoPlace: SQLite keeps such text, PostgreSQL does not.
func TestRestoreRefusesTextThatHasNoPlace(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	for _, text := range []string{"a\x00", "\xff"} {
		rows := dumpRows(t, s)
		for i := range rows {
			if rows[i].Table == dump.Sequences {
				source := dump.Row{Table: "signing_keys", Values: []any{int64(1), text, int64(1), nil, []byte{}}, Line: 7}
				rows = append(rows[:i:i], append([]dump.Row{source}, rows[i:]...)...)
				break
			}
		}
		err := restoreRows(t, s, rows)
		if task.KindOf(err) != task.Content || !strings.HasPrefix(err.Error(), "line 7: signing_keys.id: PostgreSQL keeps this text only") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestRestoreInParts has more rows than are copied at once.
func TestRestoreInParts(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	rows := dumpRows(t, s)
	const n = 2*maxCopied + 5
	var more []dump.Row
	for i := range n {
		more = append(more, dump.Row{Table: "garbage", Values: []any{"upload", []byte(fmt.Sprintf("%07d", i))}})
	}
	at := 0
	for rows[at].Table == dump.Settings {
		at++
	}
	if err := restoreRows(t, s, append(rows[:at:at], append(more, rows[at:]...)...)); err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, r := range dumpRows(t, s) {
		if r.Table == "garbage" {
			got++
		}
	}
	if got != n {
		t.Errorf("%d rows, want %d", got, n)
	}
}
