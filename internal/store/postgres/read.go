package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// beginRead makes all statements of a transaction see one moment.
const beginRead = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

// beginList is beginRead for a list. Its statements are made for one index; the
// server decides by the values that it is given, not for all values, and goes
// through the index in order instead of reading all and sorting what it finds.
const beginList = beginRead + "; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; " +
	"SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off; SET LOCAL statement_timeout = '20s'"

// listTimeout is how long a list may take, less than the server gives an answer.
const listTimeout = 20 * time.Second

// maxReadTries bounds how often a read is begun whose connection turns out to be
// dead.
const maxReadTries = 3

// reading is a use of a connection that reads.
type reading struct {
	ctx  context.Context
	conn session
	// got says that a row has reached whoever reads: the read cannot be begun again.
	got *bool
}

// session is what reads need of a connection.
type session interface {
	Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// readOne runs fn with a connection, for a read of one statement.
func (s *Store) readOne(ctx context.Context, doing string, fn func(reading) error) error {
	return s.faults.Read(interpret(doing, s.read(ctx, "", fn)))
}

// readMany runs fn in a transaction: all its statements see one moment of the
// database.
func (s *Store) readMany(ctx context.Context, doing string, fn func(reading) error) error {
	return s.faults.Read(interpret(doing, s.read(ctx, beginRead, fn)))
}

// readList is readMany for a list. Some filters cannot be answered but by looking
// at every row: they are bounded in number, so that look-ups always find a
// connection, and in time.
func (s *Store) readList(ctx context.Context, doing string, fn func(reading) error) error {
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	if err := take(limited, s.lists); err != nil {
		return tooSlow(ctx, doing, err)
	}
	defer func() { <-s.lists }()
	err := s.read(limited, beginList, fn)
	if err != nil && (limited.Err() != nil || stateOf(err) == stateCancelled) {
		return tooSlow(ctx, doing, err)
	}
	return s.faults.Read(interpret(doing, err))
}

// tooSlow is the error of a list that ran out of time; a caller who gave up gets
// his own.
func tooSlow(caller context.Context, doing string, err error) error {
	if caller.Err() != nil {
		return interpret(doing, caller.Err())
	}
	return unavailable("the list takes too long; narrow its filter, or try again when there are fewer", err)
}

// read runs fn with a connection, in a transaction where begin is not empty. A
// connection that was lost before it gave anything is replaced.
func (s *Store) read(ctx context.Context, begin string, fn func(reading) error) error {
	if err := s.use.enter(); err != nil {
		return err
	}
	defer s.use.leave()
	for try := 1; ; try++ {
		r := reading{ctx: ctx, got: new(bool)}
		err := s.readTurn(r, begin, fn)
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("%w: %s", ctx.Err(), err.Error())
		}
		if err == nil || *r.got || !errors.Is(err, errLost) || try == maxReadTries {
			return err
		}
	}
}

func (s *Store) readTurn(r reading, begin string, fn func(reading) error) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	pooled, err := s.acquire(r.ctx)
	if err != nil {
		return err
	}
	defer pooled.Release()
	conn := pooled.Conn()
	r.conn = conn
	if begin == "" {
		return lost(conn, fn(r))
	}
	// What is not ended here ends with the connection, which is then not used again.
	if _, err := conn.Exec(r.ctx, begin); err != nil {
		return lost(conn, err)
	}
	if err := fn(r); err != nil {
		_, _ = conn.Exec(r.ctx, "ROLLBACK")
		return lost(conn, err)
	}
	_, _ = conn.Exec(r.ctx, "COMMIT")
	return nil
}

// queryRow runs a query of one row. Its Scan says pgx.ErrNoRows where there is
// none.
func (r reading) queryRow(query string, args ...any) rowScanner {
	return gotRow{r.conn.QueryRow(r.ctx, number(query), args...), r.got}
}

// each runs a query and calls scan for each of its rows. scan can run no other
// statement: the connection is busy with this one.
func (r reading) each(scan func(rowScanner) error, query string, args ...any) error {
	rows, err := r.conn.Query(r.ctx, number(query), args...)
	if err != nil {
		return err
	}
	return scanEach(rows, func(row rowScanner) error { return scan(gotRow{row, r.got}) })
}

// fetchEach calls scan for each row of a cursor that the transaction has declared,
// size of them at a time: whoever stops need not wait for the rest.
func (r reading) fetchEach(cursor string, size int, scan func(rowScanner) error) error {
	for {
		n := 0
		err := r.each(func(row rowScanner) error {
			n++
			return scan(row)
		}, "FETCH "+strconv.Itoa(size)+" FROM "+cursor)
		if err != nil || n < size {
			return err
		}
	}
}

// gotRow notes that a row was read.
type gotRow struct {
	row rowScanner
	got *bool
}

func (g gotRow) Scan(dest ...any) error {
	err := g.row.Scan(dest...)
	if err == nil {
		*g.got = true
	}
	return err
}

// number writes $1, $2 and so on for the question marks of a statement, which is
// put together from pieces that do not know their places. A statement without a
// question mark stays as it is.
func number(query string) string {
	if strings.IndexByte(query, '?') < 0 {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 32)
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		query = after
	}
}
