package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	historySQL       = "SELECT at, event, attempt, actor, text, key, count FROM history WHERE task_id = ? ORDER BY seq"
	historyEndSQL    = "SELECT coalesce(max(seq), 0), coalesce(max(at), 0) FROM history WHERE task_id = ?"
	historyKeySQL    = "SELECT seq FROM history WHERE task_id = ? AND key = ? LIMIT 1"
	historyCountSQL  = "UPDATE history SET count = count + 1, at = ?, text = ? WHERE task_id = ? AND seq = ?"
	historyInsertSQL = "INSERT INTO history (task_id, seq, at, event, attempt, actor, text, key, count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
	historyDeleteSQL = "DELETE FROM history WHERE task_id = ?"
)

// History returns what happened to a task, oldest first.
func (s *Store) History(ctx context.Context, id task.ID) ([]task.Event, error) {
	events := []task.Event{}
	err := s.readOne(ctx, "read history", func(r reading) error {
		return r.each(func(row rowScanner) error {
			var e task.Event
			var ms int64
			var text []byte
			err := row.Scan(&ms, &e.Name, &e.Attempt, &e.Actor, &text, &e.Key, &e.Count)
			e.At, e.Text = time.UnixMilli(ms).UTC(), string(text)
			events = append(events, e)
			return err
		}, historySQL, sqlrow.Blob(id))
	})
	return events, err
}

// maxHistory bounds the lines of one task: what is refused over and over must
// not grow without end. Only refusals are dropped.
const maxHistory = 1000

// addEvents appends to a task's history. An event with a key that the task has
// already is counted on that line. The task is locked: nobody else appends.
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
		if err := t.insertEvent(id, i+1, e); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) addEvent(id task.ID, e task.Event) error {
	var last int
	var latest int64
	err := t.queryRow(historyEndSQL, sqlrow.Blob(id)).Scan(&last, &latest)
	if err != nil {
		return err
	}
	// Its time is from before it waited for its turn; what overtook it came first.
	if e.At.UnixMilli() < latest {
		e.At = time.UnixMilli(latest).UTC()
	}
	if e.Key != "" {
		var seq int
		err = t.queryRow(historyKeySQL, sqlrow.Blob(id), e.Key).Scan(&seq)
		if err == nil {
			return t.queue(historyCountSQL, e.At.UnixMilli(), []byte(e.Text), sqlrow.Blob(id), seq)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if last >= maxHistory {
			return nil
		}
	}
	return t.insertEvent(id, last+1, e)
}

func (t *txn) insertEvent(id task.ID, seq int, e task.Event) error {
	return t.queue(historyInsertSQL,
		sqlrow.Blob(id), seq, e.At.UnixMilli(), string(e.Name), e.Attempt, e.Actor, []byte(e.Text), e.Key, e.Count)
}
