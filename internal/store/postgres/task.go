package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/audit"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	getSQL  = "SELECT " + sqlrow.RowColumns + " FROM tasks WHERE id = ? AND created > ?"
	loadSQL = "SELECT " + sqlrow.TaskColumns + " FROM tasks WHERE id = ? FOR UPDATE"
)

// Get returns the task with this id, if it was created after since, with its
// TaskStatus as it is served. The error is of kind NotFound where there is
// none.
func (s *Store) Get(ctx context.Context, id task.ID, since time.Time) (task.Row, error) {
	var row task.Row
	err := s.readOne(ctx, "get task", func(r reading) (err error) {
		row, err = sqlrow.ScanRow(r.queryRow(getSQL, sqlrow.Blob(id), sqlrow.Since(since)))
		if errors.Is(err, pgx.ErrNoRows) {
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

const (
	// Whoever has the same key waits here until the first is committed, and then
	// finds it.
	rememberSQL = "INSERT INTO idempotency (key, fingerprint, task_id, created) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"
	replaceSQL  = "UPDATE idempotency SET fingerprint = ?, task_id = ?, created = ? WHERE key = ?"
	firstSQL    = `SELECT task_id, fingerprint, EXISTS (SELECT 1 FROM tasks WHERE tasks.id = i.task_id)
		FROM idempotency i WHERE key = ? FOR UPDATE`
)

// repeated returns the task that an earlier launch with this key made; where
// there is none it remembers the new task under it.
func (t *txn) repeated(key task.IdempotencyKey, tk *task.Task) (*task.Task, error) {
	if key.Key == "" {
		return nil, nil //nolint:nilnil // no task, no fault
	}
	created := tk.Created.UnixMilli()
	n, err := t.execRows(rememberSQL, []byte(key.Stored()), key.Fingerprint, sqlrow.Blob(tk.ID), created)
	if err != nil || n > 0 {
		return nil, err
	}
	var id, fingerprint []byte
	var there bool
	err = t.queryRow(firstSQL, []byte(key.Stored())).Scan(&id, &fingerprint, &there)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, errAgain // it was purged in between
	case err != nil:
		return nil, err
	case !there:
		return nil, t.exec(replaceSQL, key.Fingerprint, sqlrow.Blob(tk.ID), created, []byte(key.Stored()))
	case string(fingerprint) != string(key.Fingerprint):
		return nil, task.Errorf(task.Conflict, "Idempotency-Key",
			"%q was used before for another launch; use a new key for each launch", key.Key)
	}
	first, err := t.load(sqlrow.ID(id))
	if task.KindOf(err) == task.NotFound {
		return nil, errAgain
	}
	return &first, err
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
	before, err := t.load(id)
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
	// Events first: they ask where the history ends.
	if err := t.addEvents(id, c.Events); err != nil {
		return stored, nil, err
	}
	if c.Err == nil && c.Changed {
		if err := t.update(&before, &c.Task); err != nil {
			return stored, nil, err
		}
		stored = c.Task
	}
	if c.Entry != nil {
		return stored, c.Err, t.addAudit(*c.Entry)
	}
	return stored, c.Err, nil
}

// load reads a task for writing: nobody else writes it until the transaction ends.
func (t *txn) load(id task.ID) (task.Task, error) {
	tk, err := sqlrow.ScanTask(t.queryRow(loadSQL, sqlrow.Blob(id)))
	if errors.Is(err, pgx.ErrNoRows) {
		return task.Task{}, sqlrow.NoTask(id)
	}
	return tk, err
}

// taskValues are the values of insertTaskSQL and rewriteTaskSQL.
func taskValues(tk *task.Task, wire []byte) []any {
	searched := sqlrow.SearchedOf(tk)
	return append([]any{
		sqlrow.Blob(tk.ID), tk.Created.UnixMilli(), tk.Modified.UnixMilli(), sqlrow.Millis(tk.Launched), sqlrow.Millis(tk.Completed),
		sqlrow.Text(string(tk.Status)), string(tk.Kind), string(tk.Type), sqlrow.Text(tk.SourceID), tk.Launcher,
		tk.Attempt, tk.Sequence, sqlrow.Millis(tk.LastReport), tk.HeartbeatLimit.Milliseconds(),
		sqlrow.Millis(tk.CancelRequested), bytesOf(tk.CancelReason), sqlrow.Text(string(tk.Reported)), sqlrow.Job(tk), tk.Interruptions, wire,
	}, searched[:]...)
}

const (
	taskColumns = `id, created, modified, launched, completed, status, kind, type, source_id, launcher, attempt, sequence,
		last_report, heartbeat_limit, cancel_requested, cancel_reason, reported, job, interruptions, wire, ` + sqlrow.SearchedColumns
	taskParameters = "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25"

	insertTaskSQL  = "INSERT INTO tasks (" + taskColumns + ") VALUES (" + taskParameters + ")"
	rewriteTaskSQL = "UPDATE tasks SET (" + taskColumns + ") = (" + taskParameters + ") WHERE id = $1"
	// What no update changes is not here: kind, type, source, launcher, created, names,
	// description, target.
	updateTaskSQL = `UPDATE tasks SET modified = ?, launched = ?, completed = ?, status = ?, attempt = ?, sequence = ?, last_report = ?,
		heartbeat_limit = ?, cancel_requested = ?, cancel_reason = ?, reported = ?, job = ?, interruptions = ?, wire = ?, percent = ? WHERE id = ?`
	deleteTaskSQL = "DELETE FROM tasks WHERE id = ?"

	deadlineSQL   = "INSERT INTO deadlines (id, deadline) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET deadline = excluded.deadline"
	noDeadlineSQL = "DELETE FROM deadlines WHERE id = ?"
)

func (t *txn) insert(tk *task.Task) error {
	if err := t.follow(nil, tk); err != nil {
		return err
	}
	wire, err := tk.MarshalWire()
	if err != nil {
		return err
	}
	t.deltas.Add(tk, 1)
	if err := t.queue(insertTaskSQL, taskValues(tk, wire)...); err != nil {
		return err
	}
	t.change(nil, tk)
	return t.setDeadline(time.Time{}, tk)
}

func (t *txn) update(before, after *task.Task) error {
	if err := t.follow(before, after); err != nil {
		return err
	}
	wire, err := after.MarshalWire()
	if err != nil {
		return err
	}
	if before.Status != after.Status {
		t.deltas.Add(before, -1)
		t.deltas.Add(after, 1)
	}
	err = t.queue(updateTaskSQL, after.Modified.UnixMilli(), sqlrow.Millis(after.Launched), sqlrow.Millis(after.Completed), sqlrow.Text(string(after.Status)),
		after.Attempt, after.Sequence, sqlrow.Millis(after.LastReport), after.HeartbeatLimit.Milliseconds(), sqlrow.Millis(after.CancelRequested),
		bytesOf(after.CancelReason), sqlrow.Text(string(after.Reported)), sqlrow.Job(after), after.Interruptions, wire, after.PercentComplete, sqlrow.Blob(after.ID))
	if err != nil {
		return err
	}
	t.change(before, after)
	return t.setDeadline(before.HeartbeatDeadline(), after)
}

// replace writes another task over the one with its id, whatever differs. The row
// stays: whoever waits for it would take it for deleted.
func (t *txn) replace(before, after *task.Task) error {
	if err := t.follow(before, nil); err != nil {
		return err
	}
	if err := t.follow(nil, after); err != nil {
		return err
	}
	wire, err := after.MarshalWire()
	if err != nil {
		return err
	}
	t.deltas.Add(before, -1)
	t.deltas.Add(after, 1)
	if err := t.exec(rewriteTaskSQL, taskValues(after, wire)...); err != nil {
		return err
	}
	t.change(before, after)
	return t.setDeadline(before.HeartbeatDeadline(), after)
}

func (t *txn) delete(tk *task.Task) error {
	if err := t.follow(tk, nil); err != nil {
		return err
	}
	t.deltas.Add(tk, -1)
	if err := t.exec(deleteTaskSQL, sqlrow.Blob(tk.ID)); err != nil {
		return err
	}
	delete(t.changed, tk.ID)
	if err := t.queue(unchangeSQL, sqlrow.Blob(tk.ID)); err != nil {
		return err
	}
	return t.setDeadline(tk.HeartbeatDeadline(), &task.Task{ID: tk.ID})
}

// setDeadline keeps when a task must have reported; before is what is kept now.
func (t *txn) setDeadline(before time.Time, after *task.Task) error {
	deadline := after.HeartbeatDeadline()
	switch {
	case deadline.Equal(before):
		return nil
	case deadline.IsZero():
		return t.queue(noDeadlineSQL, sqlrow.Blob(after.ID))
	}
	return t.queue(deadlineSQL, sqlrow.Blob(after.ID), deadline.UnixMilli())
}
