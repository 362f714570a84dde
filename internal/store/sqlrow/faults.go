package sqlrow

import (
	"errors"
	"sync/atomic"

	"stint/internal/task"
)

// Faults counts what went wrong with the database, and was no fault of what was asked
// for. It is safe for concurrent use.
type Faults struct{ reads, writes atomic.Uint64 }

// Read counts the error of a read, where it is the database's, and returns it.
func (f *Faults) Read(err error) error { return count(&f.reads, err) }

// Write counts the error of a write, where it is the database's, and returns it.
func (f *Faults) Write(err error) error { return count(&f.writes, err) }

func count(n *atomic.Uint64, err error) error {
	if e, ok := errors.AsType[*task.Error](err); ok && (e.Kind == task.Unavailable || e.Kind == task.Internal) {
		n.Add(1)
	}
	return err
}

// Counts returns how many there were.
func (f *Faults) Counts() (reads, writes uint64) { return f.reads.Load(), f.writes.Load() }
