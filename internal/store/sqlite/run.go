package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/source"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// CreateRun stores a new task and what it is to do, together. Where the source
// has an aggregation of the class in progress, busy says what becomes of the new
// task: it holds nothing and has ended. entry makes the audit entry from the
// task as it is stored. The errors are those of Create; NotFound where there is
// no such source, or the upload was dropped; IllegalValue where the columns of the
// file are no longer those of the source.
func (s *Store) CreateRun(
	ctx context.Context, run account.Run, c task.Change, busy func(t task.Task, other task.ID) task.Change,
	key task.IdempotencyKey, entry func(t *task.Task) (audit.Entry, error),
) (task.Task, bool, error) {
	var stored task.Task
	created := true
	err := s.do(ctx, "create task", func(t *txn) error {
		stored, created = c.Task, true
		first, err := t.repeated(key, &c.Task)
		if err != nil || first != nil {
			if first != nil {
				stored, created = *first, false
			}
			return errors.Join(err, t.dropUpload(run.Upload))
		}
		change, err := t.insertRun(run, c, busy)
		if err != nil {
			return err
		}
		stored = change.Task
		if err := t.insert(&stored); err != nil {
			return err
		}
		if err := t.beginHistory(stored.ID, change.Events); err != nil {
			return err
		}
		e, err := entry(&stored)
		if err != nil {
			return err
		}
		return t.addAudit(e)
	})
	if err != nil {
		return task.Task{}, false, err
	}
	return stored, created, nil
}

// insertRun stores the run of a new task, or finds the source busy.
func (t *txn) insertRun(run account.Run, c task.Change, busy func(task.Task, task.ID) task.Change) (task.Change, error) {
	seq, s, err := t.loadSource(run.SourceID)
	if err != nil {
		return c, err
	}
	var active any = 1
	var other []byte
	err = t.queryRow(activeRunSQL, seq, run.Class).Scan(&other)
	switch {
	case err == nil:
		ended := busy(c.Task, sqlrow.ID(other))
		ended.Events = append(slices.Clone(c.Events), ended.Events...)
		c, active = ended, nil
		if err := t.dropUpload(run.Upload); err != nil {
			return c, err
		}
		run.Upload = ""
	case !errors.Is(err, sql.ErrNoRows):
		return c, err
	case run.Upload != "" && !run.State.File.Reads(&s.File):
		return c, task.Errorf(task.Conflict, "file", "was checked for a source that has been changed meanwhile; send it again")
	case run.Class == account.Accounts:
		if err := t.settleColumns(seq, s, run.State.Columns); err != nil {
			return c, err
		}
	}
	run.State.Stored = s.Accounts
	if run.Class == account.Entitlements {
		run.State.Stored = s.Entitlements
	}
	if c.Task.Status != task.InProgress {
		run.State.Phase = account.Finished
	}
	state, err := json.Marshal(run.State)
	if err != nil {
		return c, err
	}
	if run.Upload != "" {
		if err := t.takeUpload(run.Upload, c.Task.ID); err != nil {
			return c, err
		}
	}
	return c, t.exec("INSERT INTO runs (task_id, source, class, active, upload, state) VALUES (?, ?, ?, ?, ?, ?)",
		sqlrow.Blob(c.Task.ID), seq, run.Class, active, sqlrow.Blob(run.Upload), state)
}

// settleColumns checks the columns of a file against those of the source, which
// the first file sets.
func (t *txn) settleColumns(seq int64, s source.Source, columns []string) error {
	if len(s.File.Columns) == 0 {
		s.File.Columns = columns
		return t.saveSource(seq, &s)
	}
	return s.File.CheckColumns(columns)
}

// endRun lets go of what a task holds: its claim on the source, its upload, what
// it has staged.
func (t *txn) endRun(id task.ID) error {
	var upload []byte
	err := t.queryRow("SELECT upload FROM runs WHERE task_id = ? AND active IS NOT NULL", sqlrow.Blob(id)).Scan(&upload)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.exec("UPDATE runs SET active = NULL, upload = NULL WHERE task_id = ?", sqlrow.Blob(id)); err != nil {
		return err
	}
	if upload != nil {
		if err := t.exec("DELETE FROM uploads WHERE id = ?", upload); err != nil {
			return err
		}
		if err := t.discard("upload", upload); err != nil {
			return err
		}
	}
	return t.discard("staged", sqlrow.Blob(id))
}

// dropRun forgets the run of a task that is deleted.
func (t *txn) dropRun(id task.ID) error {
	var one int
	err := t.queryRow("DELETE FROM runs WHERE task_id = ? RETURNING 1", sqlrow.Blob(id)).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.discard("changes", sqlrow.Blob(id))
}

// Run returns the run of a task; the error is of kind NotFound where it has
// none.
func (s *Store) Run(ctx context.Context, id task.ID) (account.Run, error) {
	var run account.Run
	err := s.readOne(ctx, "read run", func(r reading) error {
		var source, upload, state []byte
		err := r.queryRow(`SELECT coalesce(sources.id, x''), class, upload, state FROM runs
			LEFT JOIN sources ON sources.seq = runs.source WHERE task_id = ?`, sqlrow.Blob(id)).
			Scan(&source, &run.Class, &upload, &state)
		if errors.Is(err, sql.ErrNoRows) {
			return task.Errorf(task.NotFound, "", "no aggregation has the id %s", id)
		}
		if err != nil {
			return err
		}
		run.TaskID, run.SourceID, run.Upload = id, sqlrow.ID(source), sqlrow.ID(upload)
		return json.Unmarshal(state, &run.State)
	})
	return run, err
}

// Work runs fn in one write transaction of an attempt, and takes the report that
// it returns. Where the attempt has lost its fence, or its task has ended, fn is
// not called, a line is left in the history, and the refusal is returned: an
// Error of kind Conflict with Refused set. An error of fn, or a report that
// cannot be taken, undoes all.
func (s *Store) Work(
	ctx context.Context, id task.ID, attempt int, now time.Time, fn func(account.Work) (task.Report, error),
) (task.Task, error) {
	var stored task.Task
	var refusal error
	err := s.doAlone(ctx, "record progress", func(t *txn) error {
		update := func(tk task.Task) (audit.Change, error) {
			if c := tk.ApplyReport(task.Report{Attempt: attempt}, now); c.Err != nil || !c.Changed {
				return audit.Change{Change: c}, nil //nolint:nilerr // a refusal travels inside the change
			}
			w := &work{txn: t, id: id, now: now}
			if err := w.begin(); err != nil {
				return audit.Change{}, err
			}
			report, err := fn(w)
			if err != nil {
				return audit.Change{}, err
			}
			report.Attempt = attempt
			c := tk.ApplyReport(report, now)
			if c.Err != nil {
				return audit.Change{}, c.Err // a refusal would keep what fn wrote
			}
			return audit.Change{Change: c}, w.finish()
		}
		var err error
		stored, refusal, err = t.applyUpdate(id, time.Time{}, update)
		return err
	})
	if err == nil {
		err = refusal
	}
	return stored, err
}

// work is account.Work in one transaction.
type work struct {
	*txn
	id     task.ID
	now    time.Time
	source int64
	class  account.Class
	added  int64
}

func (w *work) begin() error {
	err := w.queryRow("SELECT source, class FROM runs WHERE task_id = ?", sqlrow.Blob(w.id)).Scan(&w.source, &w.class)
	if err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	return nil
}

// finish keeps the number of stored records with the source.
func (w *work) finish() error {
	if w.added == 0 {
		return nil
	}
	return w.exec(ofClass("UPDATE sources SET @records = @records + ? WHERE seq = ?", w.class), w.added, w.source)
}

// ofClass puts the table of a class into a statement.
func ofClass(query string, class account.Class) string {
	return strings.ReplaceAll(query, "@records", class.String())
}

// Staged implements account.Work.
func (w *work) Staged(key string) (account.Record, error) {
	r := account.Record{Key: key}
	err := w.queryRow(ofClass(`SELECT s.name, s.hash IS NULL, coalesce(s.body, a.body, x'') FROM staged s
		LEFT JOIN @records a ON a.source = ? AND a.key = s.key WHERE s.task_id = ? AND s.key = ?`, w.class),
		w.source, sqlrow.Blob(w.id), key).Scan(&r.Name, &r.Keep, &r.Body)
	if r.Keep {
		r.Body = nil
	}
	return r, err
}

// Restage implements account.Work.
func (w *work) Restage(r account.Record) error {
	return w.exec("UPDATE staged SET name = ?, hash = ?, body = ? WHERE task_id = ? AND key = ?",
		r.Name, r.Hash(), r.Body, sqlrow.Blob(w.id), r.Key)
}

// SetState implements account.Work.
func (w *work) SetState(s *account.State) error {
	state, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return w.exec("UPDATE runs SET state = ? WHERE task_id = ?", state, sqlrow.Blob(w.id))
}

const builtInSQL = "SELECT id, attempt, job FROM tasks WHERE job IS NOT NULL AND status IS NULL AND job > ? ORDER BY job LIMIT ?"

// BuiltIn returns up to limit tasks in progress that Stint runs itself whose job
// has a greater number than after, in the order of those numbers.
func (s *Store) BuiltIn(ctx context.Context, after int64, limit int) ([]task.Assigned, error) {
	var found []task.Assigned
	err := s.readOne(ctx, "find tasks to run", func(r reading) error {
		return r.each(func(row rowScanner) error {
			var a task.Assigned
			var id []byte
			err := row.Scan(&id, &a.Attempt, &a.Job)
			a.ID = sqlrow.ID(id)
			found = append(found, a)
			return err
		}, builtInSQL, after, limit)
	})
	return found, err
}
