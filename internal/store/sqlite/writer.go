package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"

	"stint/internal/audit"
	"stint/internal/store/sqlrow"
	"stint/internal/store/tally"
	"stint/internal/task"
)

var errClosed = errors.New("the store is closed")

// maxBatch is how many writes share one commit at the most, so that the first
// of them does not wait for an endless queue.
const maxBatch = 256

// op is one write that waits for its turn.
type op struct {
	ctx  context.Context
	fn   func(*txn) error
	done chan error
	// alone says that it has a transaction for itself. Of what a savepoint may
	// have to undo SQLite keeps a copy: for a large write that costs as much as the
	// write.
	alone bool
}

// txn is the transaction that one write sees: its own savepoint and counts.
type txn struct {
	ctx        context.Context // never cancelled: others share the transaction
	tx         *sql.Tx
	stmts      *statements
	deltas     tally.Deltas
	onTask     TaskHook
	onDelivery DeliveryHook
	chain      *audit.Chain
	// changes says that it has written a task: the feed goes on.
	changes bool
	steps   []task.Step
}

// do runs fn in the writer and returns when its changes are on disk, or when
// ctx ends before its turn has come; in that case nothing is written. An error
// of fn undoes what it did and nothing else.
func (s *Store) do(ctx context.Context, doing string, fn func(*txn) error) error {
	return s.queue(doing, &op{ctx: ctx, fn: fn})
}

// doAlone is do for a large write.
func (s *Store) doAlone(ctx context.Context, doing string, fn func(*txn) error) error {
	return s.queue(doing, &op{ctx: ctx, fn: fn, alone: true})
}

func (s *Store) queue(doing string, o *op) error {
	if s.write == nil {
		return interpret(doing, errors.New("the store was opened for reading"))
	}
	ctx := o.ctx
	o.done = make(chan error, 1)
	select {
	case s.ops <- o:
	case <-ctx.Done():
		return interpret(doing, ctx.Err())
	case <-s.closing:
		return interpret(doing, errClosed)
	}
	// Its turn has come: it takes no longer than the batch does, and whoever
	// left now would not know what became of it.
	return s.faults.Write(interpret(doing, <-o.done))
}

// writeLoop is the only goroutine that writes.
func (s *Store) writeLoop() {
	defer close(s.done)
	for {
		select {
		case o := <-s.ops:
			for o != nil {
				o = s.runBatch(o)
			}
		case <-s.closing:
			return
		}
	}
}

// runBatch runs first and whatever waits beside it in one transaction, and
// answers them all once it is on disk. It returns a write that came meanwhile and
// wants another transaction, or nil.
func (s *Store) runBatch(first *op) (left *op) {
	ctx := context.WithoutCancel(first.ctx)
	var batch []*op
	results := map[*op]error{}
	shared := &txn{ctx: ctx, stmts: s.stmts, deltas: tally.Deltas{}}
	err := func() error {
		if err := errors.Join(s.stillThere(), s.stmts.prepare(ctx)); err != nil {
			batch = append(batch, first)
			return err
		}
		tx, err := s.write.BeginTx(ctx, nil)
		if err != nil {
			batch = append(batch, first)
			return fmt.Errorf("begin: %w", err)
		}
		shared.tx = tx
		for o := first; o != nil; o, left = s.next(len(batch), first.alone) {
			batch = append(batch, o)
			if results[o], err = s.runOne(shared, o); err != nil {
				_ = tx.Rollback()
				return err
			}
		}
		if err := shared.finish(); err != nil {
			_ = tx.Rollback()
			return err
		}
		if err := tx.Commit(); err != nil {
			_ = tx.Rollback()
			return fmt.Errorf("commit: %w", err)
		}
		return nil
	}()
	if err == nil && shared.changes && s.onChange != nil {
		s.onChange(shared.steps)
	}
	for _, o := range batch {
		if err != nil {
			o.done <- err
			continue
		}
		o.done <- results[o]
	}
	return left
}

// next returns a write that waits now and joins the transaction, or one that has
// to have its own, or neither.
func (s *Store) next(have int, alone bool) (join, other *op) {
	if have >= maxBatch || alone {
		return nil, nil
	}
	select {
	case o := <-s.ops:
		if o.alone {
			return nil, o
		}
		return o, nil
	default:
		return nil, nil
	}
}

// runOne runs one write in a savepoint of the shared transaction. The first error is
// the write's own; the second means that the whole transaction is lost.
func (s *Store) runOne(shared *txn, o *op) (own, fatal error) {
	if err := o.ctx.Err(); err != nil {
		return err, nil
	}
	t := &txn{ctx: shared.ctx, tx: shared.tx, stmts: s.stmts, deltas: tally.Deltas{}, onTask: s.onTask, onDelivery: s.onDelivery, chain: s.chain.Load()}
	if o.alone {
		// Whatever its error, all is undone.
		if err := o.run(t); err != nil {
			return nil, err
		}
		shared.merge(t)
		return nil, nil
	}
	if err := t.exec("SAVEPOINT write"); err != nil {
		return nil, err
	}
	own = o.run(t)
	if own != nil {
		if breaksTransaction(own) {
			return nil, own
		}
		if err := t.exec("ROLLBACK TO write"); err != nil {
			return nil, err
		}
	}
	if err := t.exec("RELEASE write"); err != nil {
		return nil, err
	}
	if own == nil {
		shared.merge(t)
	}
	return own, nil
}

// merge takes over what is left to do for a write that has gone well.
func (t *txn) merge(one *txn) {
	t.deltas.Merge(one.deltas)
	t.changes = t.changes || one.changes
	t.steps = append(t.steps, one.steps...)
}

// step notes that a task was written.
func (t *txn) step(before, after *task.Task) {
	t.changes = true
	t.steps = append(t.steps, task.Steps(before, after)...)
}

// finish writes what is written once for all that share the transaction.
func (t *txn) finish() error {
	if t.changes {
		if err := t.exec(turnFeedSQL); err != nil {
			return fmt.Errorf("turn the feed: %w", err)
		}
	}
	return t.addTallies(t.deltas)
}

// run turns a panic of the write's own function into its error: the goroutine
// that it runs on is everybody's.
func (o *op) run(t *txn) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return o.fn(t)
}

// addTallies writes the changed counts.
func (t *txn) addTallies(deltas tally.Deltas) error {
	for k, n := range deltas {
		err := t.exec(`INSERT INTO tallies (dimension, value, level, bucket, n) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET n = n + excluded.n`, k.Dimension, k.Value, k.Level, k.Bucket, n)
		if err != nil {
			return fmt.Errorf("count: %w", err)
		}
		if n > 0 {
			continue
		}
		err = t.exec(`DELETE FROM tallies WHERE dimension = ? AND value = ? AND level = ? AND bucket = ? AND n = 0`,
			k.Dimension, k.Value, k.Level, k.Bucket)
		if err != nil {
			return fmt.Errorf("count: %w", err)
		}
	}
	return nil
}

func (t *txn) exec(query string, args ...any) error {
	stmt, err := t.stmts.get(t.ctx, t.tx, query) //nolint:sqlclosecheck // closed with the transaction
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(t.ctx, args...)
	return err
}

func (t *txn) queryRow(query string, args ...any) rowScanner {
	stmt, err := t.stmts.get(t.ctx, t.tx, query) //nolint:sqlclosecheck // closed with the transaction
	if err != nil {
		return failedRow{err}
	}
	return stmt.QueryRowContext(t.ctx, args...)
}

type rowScanner = sqlrow.Scanner

type failedRow struct{ err error }

func (f failedRow) Scan(...any) error { return f.err }

// statements keeps prepared statements: preparing costs more than running. Only
// the writer uses it.
type statements struct {
	db     *sql.DB
	byText map[string]*sql.Stmt // nil: wanted, not prepared yet
	// inTx holds those of the current transaction, which closes them.
	inTx map[string]*sql.Stmt
}

func newStatements(db *sql.DB) *statements {
	return &statements{db: db, byText: map[string]*sql.Stmt{}}
}

// prepare makes ready for a transaction: it prepares what the last one wanted.
// A transaction holds the only connection, so that this can only happen between
// two of them.
func (s *statements) prepare(ctx context.Context) error {
	s.inTx = map[string]*sql.Stmt{}
	for query, stmt := range s.byText {
		if stmt != nil {
			continue
		}
		stmt, err := s.db.PrepareContext(ctx, query) //nolint:sqlclosecheck // closed with the store
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		s.byText[query] = stmt
	}
	return nil
}

// get returns a statement for use in tx, the current transaction.
func (s *statements) get(ctx context.Context, tx *sql.Tx, query string) (*sql.Stmt, error) {
	if stmt, ok := s.inTx[query]; ok {
		return stmt, nil
	}
	if stmt := s.byText[query]; stmt != nil {
		s.inTx[query] = tx.StmtContext(ctx, stmt)
		return s.inTx[query], nil
	}
	s.byText[query] = nil
	stmt, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.inTx[query] = stmt
	return stmt, nil
}

func (s *statements) close() error {
	var errs []error
	for _, stmt := range s.byText {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}
