package postgres

import (
	"testing"
	"time"

	"stint/internal/task"
)

// TestReportsStayOnTheirPage shows that a report writes no index of tasks anew,
// although its deadline moves.
func TestReportsStayOnTheirPage(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	tk := busy(1)[0]
	tk.Status, tk.Completed, tk.Launched, tk.HeartbeatLimit = task.InProgress, time.Time{}, tk.Created, time.Minute
	load(t, s, []task.Task{tk})
	err := s.do(t.Context(), "report", func(tx *txn) error {
		before, err := tx.load(tk.ID)
		if err != nil {
			return err
		}
		after := before
		after.Sequence++
		after.LastReport, after.Modified = tk.Created.Add(time.Hour), tk.Created.Add(time.Hour)
		if before.HeartbeatDeadline().Equal(after.HeartbeatDeadline()) {
			t.Error("the deadline stays")
		}
		if err := tx.update(&before, &after); err != nil {
			return err
		}
		var all, hot int
		err = tx.queryRow(`SELECT pg_stat_get_xact_tuples_updated('tasks'::regclass), pg_stat_get_xact_tuples_hot_updated('tasks'::regclass)`).
			Scan(&all, &hot)
		if all != 1 || hot != 1 {
			t.Errorf("%d updates, %d of them within the page", all, hot)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	ids, err := s.Overdue(t.Context(), tk.Created.Add(time.Hour+time.Minute), 10)
	if err != nil || len(ids) != 1 {
		t.Errorf("overdue: %v, %v", ids, err)
	}
}
