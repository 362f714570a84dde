package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"stint/internal/task"
)

// TaskHook sees every write of a task, inside its transaction: before is nil for
// a new task, after for one that is deleted. It may set after.Job. It must use
// tx alone, and may be called again for the same write.
type TaskHook func(ctx context.Context, tx pgx.Tx, before, after *task.Task) error

// OnTask sets the hook, before the first write.
func (s *Store) OnTask(hook TaskHook) { s.onTask = hook }

// follow lets go of what a task holds when it ends or is deleted, and tells the
// hook.
func (t *txn) follow(before, after *task.Task) error {
	wasOpen := before != nil && before.Status == task.InProgress
	isOpen := after != nil && after.Status == task.InProgress
	if wasOpen && !isOpen {
		if err := t.endRun(before.ID); err != nil {
			return err
		}
	}
	if before != nil && after == nil {
		if err := t.dropRun(before.ID); err != nil {
			return err
		}
	}
	if t.onTask == nil {
		return nil
	}
	return t.onTask(t.ctx, t.tx, before, after)
}
