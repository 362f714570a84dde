package audit

import "stint/internal/task"

// Change is a change of a task together with the entry that it leaves; Entry is
// nil for what no person did.
type Change struct {
	task.Change
	Entry *Entry
}

// UpdateFunc decides what becomes of a task. It runs inside the transaction
// that writes its answer: it must be quick, touch nothing but its argument, and
// may run again.
type UpdateFunc func(task.Task) (Change, error)
