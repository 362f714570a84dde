package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// History returns what happened to a task, oldest first.
func (s *Store) History(ctx context.Context, id task.ID) ([]task.Event, error) {
	events := []task.Event{}
	err := s.readOne(ctx, "read history", func(r reading) error {
		return r.each(func(row rowScanner) error {
			var e task.Event
			var ms int64
			err := row.Scan(&ms, &e.Name, &e.Attempt, &e.Actor, &e.Text, &e.Key, &e.Count)
			e.At = time.UnixMilli(ms).UTC()
			events = append(events, e)
			return err
		}, "SELECT at, event, attempt, actor, text, key, count FROM history WHERE task_id = ? ORDER BY seq", sqlrow.Blob(id))
	})
	return events, err
}

// maxHistory bounds the lines of one task: what is refused over and over must
// not grow without end. Only refusals are dropped.
const maxHistory = 1000

// addEvents appends to a task's history. An event with a key that the task has
// already is counted on that line.
func (t *txn) addEvents(id task.ID, events []task.Event) error {
	for _, e := range events {
		if err := t.addEvent(id, e); err != nil {
			return err
		}
	}
	return nil
}

// beginHistory writes the events of a task that has none yet.
func (t *txn) beginHistory(id task.ID, events []task.Event) error {
	for i, e := range events {
		if err := t.insertEvent(id, int64(i+1), e); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) addEvent(id task.ID, e task.Event) error {
	var last, latest int64
	err := t.queryRow("SELECT coalesce(max(seq), 0), coalesce(max(at), 0) FROM history WHERE task_id = ?", sqlrow.Blob(id)).Scan(&last, &latest)
	if err != nil {
		return err
	}
	// Its time is from before it waited for its turn; what overtook it came first.
	if e.At.UnixMilli() < latest {
		e.At = time.UnixMilli(latest).UTC()
	}
	if e.Key != "" {
		var seq int64
		err = t.queryRow("SELECT seq FROM history WHERE task_id = ? AND key = ?", sqlrow.Blob(id), e.Key).Scan(&seq)
		if err == nil {
			return t.exec("UPDATE history SET count = count + 1, at = ?, text = ? WHERE task_id = ? AND seq = ?",
				e.At.UnixMilli(), e.Text, sqlrow.Blob(id), seq)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if last >= maxHistory {
			return nil
		}
	}
	return t.insertEvent(id, last+1, e)
}

func (t *txn) insertEvent(id task.ID, seq int64, e task.Event) error {
	return t.exec(`INSERT INTO history (task_id, seq, at, event, attempt, actor, text, key, count)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		sqlrow.Blob(id), seq, e.At.UnixMilli(), string(e.Name), e.Attempt, e.Actor, e.Text, e.Key, e.Count)
}
