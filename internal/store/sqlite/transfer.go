package sqlite

import (
	"bytes"
	"context"
	"iter"
	"time"

	"stint/internal/audit"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// Import stores the tasks of a file in one transaction: all of them or, on any
// error, none. A task that is stored already and says the same is left alone;
// one that says something else is refused with an error of kind Conflict unless
// replace is set. entry makes the one audit entry from what was done.
func (s *Store) Import(
	ctx context.Context, tasks iter.Seq2[task.Task, error], replace bool, now time.Time,
	entry func(task.ImportResult) audit.Entry,
) (task.ImportResult, error) {
	var result task.ImportResult
	err := s.do(ctx, "import tasks", func(t *txn) error {
		result = task.ImportResult{}
		for tk, err := range tasks {
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := t.importOne(tk, replace, now, &result); err != nil {
				return err
			}
		}
		t.steps = nil // others have launched and run them
		return t.addAudit(entry(result))
	})
	if err != nil {
		return task.ImportResult{}, err
	}
	return result, nil
}

func (t *txn) importOne(tk task.Task, replace bool, now time.Time, result *task.ImportResult) error {
	before, seq, err := t.load(tk.ID)
	if task.KindOf(err) == task.NotFound {
		result.Added++
		if err := t.insert(&tk); err != nil {
			return err
		}
		return t.beginHistory(tk.ID, []task.Event{{At: now, Name: task.EventImported, Attempt: tk.Attempt, Text: "imported", Count: 1}})
	}
	if err != nil {
		return err
	}
	same, err := saySame(&before, &tk)
	if err != nil {
		return err
	}
	if same {
		result.Unchanged++
		return nil
	}
	if !replace {
		return task.Errorf(task.Conflict, "id", "the task %s is stored already and says something else; --replace takes the new one", tk.ID)
	}
	// The next attempt, so that whoever reported the old one is stale.
	tk.Attempt = before.Attempt + 1
	result.Replaced++
	if err := t.replace(seq, &before, &tk); err != nil {
		return err
	}
	return t.addEvents(tk.ID, []task.Event{{
		At: now, Name: task.EventReplaced, Attempt: tk.Attempt, Text: "replaced by an import", Count: 1,
	}})
}

// saySame reports whether two tasks say the same in an export.
func saySame(a, b *task.Task) (bool, error) {
	if a.Kind != b.Kind || a.SourceID != b.SourceID {
		return false, nil
	}
	wireA, err := a.MarshalWire()
	if err != nil {
		return false, err
	}
	wireB, err := b.MarshalWire()
	return bytes.Equal(wireA, wireB), err
}

// Export calls fn for every task, visible or not, oldest first, as of one
// moment. It stops at fn's first error.
func (s *Store) Export(ctx context.Context, fn func(task.Row) error) error {
	return s.readOne(ctx, "export tasks", func(r reading) error {
		return r.each(func(row rowScanner) error {
			exported, err := sqlrow.ScanRow(row)
			if err != nil {
				return err
			}
			return fn(exported)
		}, "SELECT "+sqlrow.RowColumns+" FROM tasks ORDER BY created, id")
	})
}
