package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"stint/internal/audit"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const getSQL = "SELECT " + sqlrow.RowColumns + " FROM tasks WHERE id = ? AND created > ?"

// Get returns the task with this id, if it was created after since, with its
// TaskStatus as it is served. The error is of kind NotFound where there is
// none.
func (s *Store) Get(ctx context.Context, id task.ID, since time.Time) (task.Row, error) {
	var row task.Row
	err := s.readOne(ctx, "get task", func(r reading) (err error) {
		row, err = sqlrow.ScanRow(r.queryRow(getSQL, sqlrow.Blob(id), sqlrow.Since(since)))
		if errors.Is(err, sql.ErrNoRows) {
			return sqlrow.NoTask(id)
		}
		return err
	})
	return row, err
}

// Create stores a new task with its events and audit entry. With key not empty
// it first looks for what an earlier launch with this key made: the same
// fingerprint gets that task and false, another one an error of kind Conflict.
func (s *Store) Create(ctx context.Context, c task.Change, key task.IdempotencyKey, entry audit.Entry) (task.Task, bool, error) {
	stored, created := c.Task, true
	err := s.do(ctx, "create task", func(t *txn) error {
		first, err := t.repeated(key, &c.Task)
		if err != nil {
			return err
		}
		if first != nil {
			stored, created = *first, false
			return nil
		}
		stored, created = c.Task, true
		if err := t.insert(&stored); err != nil {
			return err
		}
		if err := t.beginHistory(stored.ID, c.Events); err != nil {
			return err
		}
		return t.addAudit(entry)
	})
	if err != nil {
		return task.Task{}, false, err
	}
	return stored, created, nil
}

// repeated returns the task that an earlier launch with this key made; where
// there is none it remembers the new task under it.
func (t *txn) repeated(key task.IdempotencyKey, tk *task.Task) (*task.Task, error) {
	if key.Key == "" {
		return nil, nil //nolint:nilnil // no task, no fault
	}
	id, err := t.launchedBefore(key)
	if err != nil {
		return nil, err
	}
	if id != "" {
		first, _, err := t.load(id)
		return &first, err
	}
	return nil, t.exec("INSERT OR REPLACE INTO idempotency (key, fingerprint, task_id, created) VALUES (?, ?, ?, ?)",
		key.Stored(), key.Fingerprint, sqlrow.Blob(tk.ID), tk.Created.UnixMilli())
}

// launchedBefore returns the id of the task that an earlier launch with this
// key made, or "" where there is none, or none any more.
func (t *txn) launchedBefore(key task.IdempotencyKey) (task.ID, error) {
	var id, fingerprint []byte
	err := t.queryRow("SELECT task_id, fingerprint FROM idempotency JOIN tasks ON tasks.id = task_id WHERE key = ?",
		key.Stored()).Scan(&id, &fingerprint)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if string(fingerprint) != string(key.Fingerprint) {
		return "", task.Errorf(task.Conflict, "Idempotency-Key",
			"%q was used before for another launch; use a new key for each launch", key.Key)
	}
	return sqlrow.ID(id), nil
}

// Update lets fn decide what becomes of a task, and writes that: task, events
// and audit entry together. fn runs inside the transaction, so it sees the task
// as it is; it must be quick and may run again. With Change.Err set the events
// are kept, and that error is returned with the task as it is. The error is of
// kind NotFound where no task with this id was created after since.
func (s *Store) Update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error) {
	var stored task.Task
	var refusal error
	err := s.do(ctx, "update task", func(t *txn) (err error) {
		stored, refusal, err = t.applyUpdate(id, since, fn)
		return err
	})
	if err == nil {
		err = refusal
	}
	return stored, err
}

// applyUpdate is Update inside a transaction. What fn refuses is the second
// result: its events are kept all the same.
func (t *txn) applyUpdate(id task.ID, since time.Time, fn audit.UpdateFunc) (stored task.Task, refusal, err error) {
	before, seq, err := t.load(id)
	if err != nil {
		return stored, nil, err
	}
	if !since.IsZero() && !before.Created.After(since) {
		return stored, nil, sqlrow.NoTask(id)
	}
	c, err := fn(before)
	if err != nil {
		return stored, nil, err
	}
	stored = before
	if c.Err == nil && c.Changed {
		if err := t.update(seq, &before, &c.Task); err != nil {
			return stored, nil, err
		}
		stored = c.Task
	}
	if err := t.addEvents(id, c.Events); err != nil {
		return stored, nil, err
	}
	if c.Entry != nil {
		return stored, c.Err, t.addAudit(*c.Entry)
	}
	return stored, c.Err, nil
}

// load reads a task for writing, with its row number.
func (t *txn) load(id task.ID) (task.Task, int64, error) {
	var seq int64
	tk, err := sqlrow.ScanTask(t.queryRow("SELECT "+sqlrow.TaskColumns+", seq FROM tasks WHERE id = ?", sqlrow.Blob(id)), &seq)
	if errors.Is(err, sql.ErrNoRows) {
		return task.Task{}, 0, sqlrow.NoTask(id)
	}
	return tk, seq, err
}

func (t *txn) insert(tk *task.Task) error {
	if err := t.follow(nil, tk); err != nil {
		return err
	}
	wire, err := tk.MarshalWire()
	if err != nil {
		return err
	}
	t.deltas.Add(tk, 1)
	t.step(nil, tk)
	searched := sqlrow.SearchedOf(tk)
	return t.exec(`INSERT INTO tasks (id, created, modified, launched, completed, status, kind, type, source_id, launcher,
		attempt, sequence, last_report, heartbeat_limit, deadline, cancel_requested, cancel_reason, reported, job,
		interruptions, wire, `+sqlrow.SearchedColumns+`, changed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, `+changedSQL+`)`, append([]any{
		sqlrow.Blob(tk.ID), tk.Created.UnixMilli(), tk.Modified.UnixMilli(), sqlrow.Millis(tk.Launched), sqlrow.Millis(tk.Completed),
		sqlrow.Text(string(tk.Status)), string(tk.Kind), string(tk.Type), sqlrow.Text(tk.SourceID), tk.Launcher,
		tk.Attempt, tk.Sequence, sqlrow.Millis(tk.LastReport), tk.HeartbeatLimit.Milliseconds(), sqlrow.Millis(tk.HeartbeatDeadline()),
		sqlrow.Millis(tk.CancelRequested), sqlrow.Text(tk.CancelReason), sqlrow.Text(string(tk.Reported)), sqlrow.Job(tk), tk.Interruptions, wire,
	}, searched[:]...)...)
}

func (t *txn) update(seq int64, before, after *task.Task) error {
	if err := t.follow(before, after); err != nil {
		return err
	}
	wire, err := after.MarshalWire()
	if err != nil {
		return err
	}
	rest := []any{
		after.Modified.UnixMilli(), after.Attempt, after.Sequence, sqlrow.Millis(after.LastReport), after.HeartbeatLimit.Milliseconds(),
		sqlrow.Millis(after.HeartbeatDeadline()), sqlrow.Millis(after.CancelRequested), sqlrow.Text(after.CancelReason), sqlrow.Text(string(after.Reported)),
		after.Interruptions, wire, after.PercentComplete, seq,
	}
	const restSQL = `modified = ?, attempt = ?, sequence = ?, last_report = ?, heartbeat_limit = ?, deadline = ?,
		cancel_requested = ?, cancel_reason = ?, reported = ?, interruptions = ?, wire = ?, percent = ?, changed = ` + changedSQL + ` WHERE seq = ?`
	t.step(before, after)
	// An UPDATE rewrites the entry of every index with a column in its SET list,
	// changed or not; a report that ends nothing names as few as it can.
	if before.Status == after.Status && before.Completed.Equal(after.Completed) && before.Launched.Equal(after.Launched) &&
		before.Job == after.Job {
		return t.exec("UPDATE tasks SET "+restSQL, rest...)
	}
	t.deltas.Add(before, -1)
	t.deltas.Add(after, 1)
	return t.exec("UPDATE tasks SET launched = ?, completed = ?, status = ?, job = ?, "+restSQL,
		append([]any{sqlrow.Millis(after.Launched), sqlrow.Millis(after.Completed), sqlrow.Text(string(after.Status)), sqlrow.Job(after)}, rest...)...)
}

// replace writes another task over the one in a row, whatever differs.
func (t *txn) replace(seq int64, before, after *task.Task) error {
	if err := t.delete(seq, before); err != nil {
		return err
	}
	return t.insert(after)
}

func (t *txn) delete(seq int64, tk *task.Task) error {
	if err := t.follow(tk, nil); err != nil {
		return err
	}
	t.deltas.Add(tk, -1)
	return t.exec("DELETE FROM tasks WHERE seq = ?", seq)
}
