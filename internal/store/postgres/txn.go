package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"stint/internal/audit"
	"stint/internal/store/sqlrow"
	"stint/internal/store/tally"
	"stint/internal/task"
)

const (
	// maxTries bounds how often a write is run that others or the network undo.
	maxTries = 10
	// writeTimeout ends a write that hangs, say behind a lock of a node that is
	// gone.
	writeTimeout = time.Minute
)

// txn is the transaction that one write sees.
type txn struct {
	ctx        context.Context // not the caller's: it ends what hangs, and nothing else
	conn       *pgx.Conn
	tx         pgx.Tx
	deltas     tally.Deltas
	onTask     TaskHook
	onDelivery DeliveryHook
	chain      *audit.Chain
	// entries are linked to the audit at the end: whoever holds the end of a shard
	// keeps others waiting.
	entries []audit.Entry
	// waiting are the statements of queue that have not been sent.
	waiting *pgx.Batch
	// changed are the tasks that it has written.
	changed map[task.ID]struct{}
	steps   []task.Step
}

// done is what a write leaves to be told or done when it is committed.
type done struct {
	counts  int // changes of counts, stored with it
	changes bool
	steps   []task.Step
}

// do runs fn in a transaction and returns when its changes are committed, or when
// ctx ends before its turn has come; in that case nothing is written. An error of
// fn undoes what it did. fn may run more than once: where others were in the way,
// or the connection was lost, it is run again.
//
// The transaction is READ COMMITTED: each statement sees what others have
// committed by then. Rows that fn decides by are to be locked.
func (s *Store) do(ctx context.Context, doing string, fn func(*txn) error) error {
	return s.run(ctx, doing, writeTimeout, fn)
}

// doAlone is do for a large write, which may take its time.
func (s *Store) doAlone(ctx context.Context, doing string, fn func(*txn) error) error {
	return s.run(ctx, doing, 0, fn)
}

// doOnce is doAlone for a write that reads what may come slowly and may not be readable
// again: it is not run again, and may stand still.
func (s *Store) doOnce(ctx context.Context, doing string, fn func(*txn) error) error {
	begun := false
	return s.doAlone(ctx, doing, func(t *txn) error {
		if begun {
			return unavailable("others were writing, or the database was lost; nothing was imported", errAgain)
		}
		begun = true
		if err := t.exec(patient); err != nil {
			return err
		}
		return fn(t)
	})
}

func (s *Store) run(ctx context.Context, doing string, timeout time.Duration, fn func(*txn) error) error {
	if err := s.use.enter(); err != nil {
		return interpret(doing, err)
	}
	defer s.use.leave()
	if err := take(ctx, s.writes); err != nil {
		return interpret(doing, err)
	}
	did, err := s.runTurns(ctx, timeout, fn)
	<-s.writes
	if did.changes {
		s.changed(did.steps)
	}
	if err == nil {
		s.counted(ctx, did.counts)
	}
	return s.faults.Write(interpret(doing, err))
}

// runTurns runs fn until it is committed or fails for good.
func (s *Store) runTurns(ctx context.Context, timeout time.Duration, fn func(*txn) error) (did done, err error) {
	for try := 1; ; try++ {
		did, err = s.runOnce(ctx, timeout, fn)
		if err == nil || try == maxTries || !again(err) {
			return did, err
		}
		// Those that met must not meet again.
		longest := time.Millisecond << try
		pause := time.NewTimer(rand.N(longest)) //nolint:gosec // no secret
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return done{}, ctx.Err()
		}
	}
}

// take puts a token into a channel that bounds how many there are.
func take(ctx context.Context, tokens chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case tokens <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) runOnce(ctx context.Context, timeout time.Duration, fn func(*txn) error) (did done, err error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return did, err
	}
	defer conn.Release()
	// Its turn has come: whoever left now would not know what became of it.
	own := context.WithoutCancel(ctx)
	if timeout > 0 {
		limited, cancel := context.WithTimeout(own, timeout)
		defer cancel()
		own = limited
	}
	t := &txn{ctx: own, conn: conn.Conn(), deltas: tally.Deltas{}, onTask: s.onTask, onDelivery: s.onDelivery, chain: s.chain.Load()}
	defer func() {
		if t.tx != nil {
			_ = t.tx.Rollback(context.WithoutCancel(ctx))
		}
		if err != nil && own.Err() != nil && !errors.Is(err, errUnknown) {
			err = unavailable("the write takes too long", err)
		}
	}()
	if t.tx, err = t.conn.BeginTx(own, pgx.TxOptions{BeginQuery: "BEGIN ISOLATION LEVEL READ COMMITTED"}); err != nil {
		return did, lost(t.conn, err)
	}
	if err := t.call(fn); err != nil {
		return did, lost(t.conn, err)
	}
	if did.counts, err = t.finish(); err != nil {
		return did, lost(t.conn, err)
	}
	did.changes = len(t.changed) > 0 // where nobody knows whether it was committed, too
	if err = t.commit(); err == nil {
		did.steps = t.steps
	}
	return did, err
}

// acquire takes a connection. An error that is not the caller's says that there is
// none to be had.
func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := s.pool.Acquire(ctx)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %s", ctx.Err(), err.Error())
	}
	return nil, noConnection(err)
}

// lost marks the error of a connection that is gone with it.
func lost(conn *pgx.Conn, err error) error {
	if err != nil && conn.IsClosed() {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

// call turns a panic of the write's own function into its error, so that the
// transaction ends.
func (t *txn) call(fn func(*txn) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return fn(t)
}

// finish writes what goes last: the counts, the feed, then the audit, whose ends are locked
// from here to the commit.
func (t *txn) finish() (added int, err error) {
	if added, err = t.addTallies(); err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	if err := t.turnFeed(); err != nil {
		return 0, err
	}
	if err := t.send(); err != nil {
		return 0, err
	}
	return added, t.writeAudit()
}

func (t *txn) commit() error {
	err := t.tx.Commit(t.ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrTxCommitRollback), ended(err):
		return fmt.Errorf("commit: %w", err)
	}
	return fmt.Errorf("%w: %w", errUnknown, err)
}

// maxWaiting is how many statements go to the server together.
const maxWaiting = 500

// queue has a small statement run whose result nobody waits for: before the next one
// of another method, and before the commit. The way to the server is gone once for
// all that wait. Its error comes with theirs.
func (t *txn) queue(query string, args ...any) error {
	if t.waiting == nil {
		t.waiting = &pgx.Batch{}
	}
	t.waiting.Queue(number(query), args...)
	if t.waiting.Len() < maxWaiting {
		return nil
	}
	return t.send()
}

// send runs the statements that wait.
func (t *txn) send() error {
	if t.waiting == nil {
		return nil
	}
	waiting := t.waiting
	t.waiting = nil
	return t.tx.SendBatch(t.ctx, waiting).Close()
}

// exec runs a statement. See number for its parameters.
func (t *txn) exec(query string, args ...any) error {
	_, err := t.execRows(query, args...)
	return err
}

// execRows is exec that returns how many rows the statement took.
func (t *txn) execRows(query string, args ...any) (int64, error) {
	if err := t.send(); err != nil {
		return 0, err
	}
	tag, err := t.tx.Exec(t.ctx, number(query), args...)
	return tag.RowsAffected(), err
}

// queryRow runs a query of one row. Its Scan says pgx.ErrNoRows where there is
// none.
func (t *txn) queryRow(query string, args ...any) rowScanner {
	if err := t.send(); err != nil {
		return failed{err}
	}
	return t.tx.QueryRow(t.ctx, number(query), args...)
}

// each runs a query and calls scan for each of its rows. scan can run no other
// statement: the connection is busy with this one.
func (t *txn) each(scan func(rowScanner) error, query string, args ...any) error {
	if err := t.send(); err != nil {
		return err
	}
	rows, err := t.tx.Query(t.ctx, number(query), args...)
	if err != nil {
		return err
	}
	return scanEach(rows, scan)
}

// failed is the row of a query that was not run.
type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

type rowScanner = sqlrow.Scanner

func scanEach(rows pgx.Rows, scan func(rowScanner) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
