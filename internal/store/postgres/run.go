package postgres

import "stint/internal/task"

func (t *txn) endRun(task.ID) error { return nil }

func (t *txn) dropRun(task.ID) error { return nil }
