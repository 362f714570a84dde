package postgres

import (
	"bytes"
	"context"
	"iter"
	"time"

	"stint/internal/audit"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	// importBatch is how many tasks of a file are looked up and stored together.
	importBatch = 200
	// importAnalyzed is how many tasks an import adds at least for the server to take
	// its statistics of them at once.
	importAnalyzed = 50_000
	// exportBatch is how many rows an export holds at once.
	exportBatch = 500

	importLoadSQL = "SELECT id, " + sqlrow.TaskColumns + " FROM tasks WHERE id = ANY (?) ORDER BY id FOR UPDATE"
	exportSQL     = "DECLARE export NO SCROLL CURSOR FOR SELECT " + sqlrow.RowColumns + " FROM tasks ORDER BY created + 0, id"
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
	err := s.doOnce(ctx, "import tasks", func(t *txn) error {
		m := &importer{txn: t, ctx: ctx, replace: replace, now: now}
		if err := m.all(tasks); err != nil {
			return err
		}
		result = m.result
		t.steps = nil // others have launched and run them
		return t.addAudit(entry(result))
	})
	if err != nil {
		return task.ImportResult{}, err
	}
	if result.Added >= importAnalyzed {
		// The server may have taken its statistics while none of these rows counted,
		// and would plan lists by them until it looks again. It looks by itself, too.
		_, _ = s.pool.Exec(ctx, "ANALYZE tasks")
	}
	return result, nil
}

// importer is one import.
type importer struct {
	*txn
	ctx     context.Context // the caller's: an import takes long
	replace bool
	now     time.Time
	result  task.ImportResult
}

func (m *importer) all(tasks iter.Seq2[task.Task, error]) error {
	var some []task.Task
	for tk, err := range tasks {
		if err != nil {
			return err
		}
		if some = append(some, tk); len(some) < importBatch {
			continue
		}
		if err := m.some(some); err != nil {
			return err
		}
		some = some[:0]
	}
	return m.some(some)
}

// some imports a part of the file.
func (m *importer) some(tasks []task.Task) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	stored, err := m.stored(tasks)
	if err != nil {
		return err
	}
	for i := range tasks {
		if err := m.one(tasks[i], stored); err != nil {
			return err
		}
	}
	return nil
}

// stored locks and returns those of the tasks that are stored.
func (m *importer) stored(tasks []task.Task) (map[task.ID]task.Task, error) {
	ids := make([][]byte, len(tasks))
	for i := range tasks {
		ids[i] = sqlrow.Blob(tasks[i].ID)
	}
	stored := make(map[task.ID]task.Task, len(tasks))
	err := m.each(func(row rowScanner) error {
		var id []byte
		tk, err := sqlrow.ScanTask(sqlrow.Leading{Row: row, First: &id})
		stored[sqlrow.ID(id)] = tk
		return err
	}, importLoadSQL, ids)
	return stored, err
}

func (m *importer) one(tk task.Task, stored map[task.ID]task.Task) error {
	before, known := stored[tk.ID]
	if !known {
		m.result.Added++
		if err := m.insert(&tk); err != nil {
			return err
		}
		stored[tk.ID] = tk
		return m.beginHistory(tk.ID, []task.Event{{At: m.now, Name: task.EventImported, Attempt: tk.Attempt, Text: "imported", Count: 1}})
	}
	same, err := saySame(&before, &tk)
	if err != nil {
		return err
	}
	if same {
		m.result.Unchanged++
		return nil
	}
	if !m.replace {
		return task.Errorf(task.Conflict, "id", "the task %s is stored already and says something else; --replace takes the new one", tk.ID)
	}
	// The next attempt, so that whoever reported the old one is stale.
	tk.Attempt = before.Attempt + 1
	m.result.Replaced++
	if err := m.txn.replace(&before, &tk); err != nil {
		return err
	}
	stored[tk.ID] = tk
	return m.addEvents(tk.ID, []task.Event{{At: m.now, Name: task.EventReplaced, Attempt: tk.Attempt, Text: "replaced by an import", Count: 1}})
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
// moment. It stops at fn's first error. It takes the place of a list.
func (s *Store) Export(ctx context.Context, fn func(task.Row) error) error {
	const doing = "export tasks"
	if err := take(ctx, s.lists); err != nil {
		return interpret(doing, err)
	}
	defer func() { <-s.lists }()
	return interpret(doing, s.read(ctx, beginRead+"; "+patient+"; SET LOCAL enable_sort = off; "+exportSQL, func(r reading) error {
		return r.fetchEach("export", exportBatch, func(row rowScanner) error {
			exported, err := sqlrow.ScanRow(row)
			if err != nil {
				return err
			}
			return fn(exported)
		})
	}))
}
