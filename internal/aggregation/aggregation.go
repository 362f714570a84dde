// Package aggregation reads the accounts and entitlements of a source and
// records what is new, changed and gone.
//
// It owns the launch of an aggregation, receiving its file, and carrying it out:
// the phases of a run, what it reports, which deletions are withheld. It does
// not own when a run is carried out or by whom (the engine does), how a file is
// read (a connector does), nor storage.
//
// Invariants: a file is refused before anything is stored of its contents, or
// its rows are staged, compared and recorded; every step is one transaction that
// checks the attempt, records what was done, and says how to go on; a step that
// was interrupted left nothing.
package aggregation

import (
	"context"
	"io"
	"time"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/source"
	"stint/internal/task"
)

// Store is what aggregations need of storage. Errors are *task.Error. All
// methods are safe for concurrent use.
type Store interface {
	Source(ctx context.Context, id task.ID) (source.Source, error)

	BeginUpload(ctx context.Context, id task.ID, now time.Time) error
	AppendUpload(ctx context.Context, id task.ID, start int64, data []byte, now time.Time) error
	DropUpload(ctx context.Context, id task.ID) error
	// ReadUpload returns some bytes from an offset on; io.EOF at the end.
	ReadUpload(ctx context.Context, id task.ID, offset int64) ([]byte, error)

	// CreateRun stores a task and its run together; see busy for a source that has
	// one in progress.
	CreateRun(ctx context.Context, run account.Run, c task.Change, busy func(t task.Task, other task.ID) task.Change,
		key task.IdempotencyKey, entry func(t *task.Task) (audit.Entry, error)) (task.Task, bool, error)
	Run(ctx context.Context, id task.ID) (account.Run, error)

	// The reads that compare go through keys in order. A last of "" is the end.
	Compare(ctx context.Context, run *account.Run, after string, limit int) (account.Counts, error)
	Differing(ctx context.Context, run *account.Run, after string, limit int, all bool) ([]account.Difference, string, error)
	Missing(ctx context.Context, run *account.Run, after string, limit int) ([]account.Gone, string, error)
	AccountsAfter(ctx context.Context, run *account.Run, after string, limit int) ([]account.Record, error)

	// Work runs fn in one write transaction of an attempt; a lost fence is an error
	// with Refused set. fn may be called again.
	Work(ctx context.Context, id task.ID, attempt int, now time.Time, fn func(account.Work) (task.Report, error)) (task.Task, error)
}

// Connector reads the files of a sort of source. Its errors are *task.Error
// where a file is at fault, else those of the reader that it was given.
type Connector interface {
	// Check reads a whole file and returns what it holds.
	Check(in io.Reader, s *source.Source, class account.Class) (account.Upload, error)
	// Open begins to read a file that was checked; Resume goes on at a position.
	Open(in io.Reader, s *source.Source, class account.Class) (Rows, error)
	Resume(in io.Reader, s *source.Source, class account.Class, columns []string, at account.Position) (Rows, error)
}

// Rows are the rows of a file, in their order.
type Rows interface {
	// Next returns io.EOF at the end.
	Next() (account.Row, error)
	// Position is behind the row that Next returned last.
	Position() account.Position
}

// Options are the settings of an Aggregator.
type Options struct {
	Store     Store
	Connector Connector
	Catalog   *task.Catalog
	Now       func() time.Time
}

// Aggregator launches aggregations and carries them out. All methods are safe
// for concurrent use.
type Aggregator struct {
	store     Store
	connector Connector
	catalog   *task.Catalog
	now       func() time.Time
	receiving chan struct{} // holds a token for each file under way
}

// New returns an Aggregator.
func New(o Options) *Aggregator {
	return &Aggregator{
		store: o.Store, connector: o.Connector, catalog: o.Catalog, now: o.Now, receiving: make(chan struct{}, maxReceiving),
	}
}

// Run returns what an aggregation is to do and how far it has come. The error is
// of kind NotFound where the task is none.
func (a *Aggregator) Run(ctx context.Context, id task.ID) (account.Run, error) {
	return a.store.Run(ctx, id)
}
