package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"runtime"
)

// maxPrepared bounds the prepared statements of one reader. Filters come in
// endless forms; those beyond the bound are prepared each time.
const maxPrepared = 128

// reader is one connection that reads, with its prepared statements: preparing
// one costs more than a look-up. One goroutine at a time has it.
type reader struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	// broken says that the connection is in a state that nobody knows.
	broken bool
}

// readers is how many reads run at once; others wait.
func readers() int { return max(4, 2*runtime.GOMAXPROCS(0)) }

// openReaders opens the pool of readers.
func (s *Store) openReaders(ctx context.Context, path string) (err error) {
	if s.read, err = openPool(path, true, readers()); err != nil {
		return err
	}
	pool := make(chan *reader, readers())
	for range cap(pool) {
		conn, err := s.read.Conn(ctx)
		if err != nil {
			// Those opened so far end with s.read.
			return cannotRead(path, err)
		}
		pool <- &reader{conn: conn, stmts: map[string]*sql.Stmt{}}
	}
	s.readers = pool
	s.lists = make(chan struct{}, cap(pool)-2)
	return nil
}

// reading is a use of a reader.
type reading struct {
	*reader
	ctx context.Context
}

// readOne runs fn with a reader, for a read of one statement.
func (s *Store) readOne(ctx context.Context, doing string, fn func(reading) error) error {
	select {
	case r := <-s.readers:
		defer func() {
			if r.broken {
				s.renew(context.WithoutCancel(ctx), r)
			}
			s.readers <- r
		}()
		return s.faults.Read(interpret(doing, fn(reading{r, ctx})))
	case <-ctx.Done():
		return interpret(doing, ctx.Err())
	case <-s.closing:
		return interpret(doing, errClosed)
	}
}

// readMany runs fn with a reader in a transaction: all its statements see one
// moment of the database.
func (s *Store) readMany(ctx context.Context, doing string, fn func(reading) error) error {
	return s.readOne(ctx, doing, func(r reading) error {
		// The reader is another's next, whatever becomes of this one's context: a
		// BEGIN that is cancelled may have begun all the same.
		frame := reading{r.reader, context.WithoutCancel(ctx)}
		if err := frame.exec("BEGIN"); err != nil {
			r.broken = true
			return err
		}
		err := fn(r)
		if end := frame.exec("ROLLBACK"); end != nil {
			r.broken = true
			err = errors.Join(err, end)
		}
		return err
	})
}

// renew gives a reader another connection: nobody knows what state its own is
// in.
func (s *Store) renew(ctx context.Context, r *reader) {
	for _, stmt := range r.stmts {
		_ = stmt.Close()
	}
	// The pool must not hand it out again.
	_ = r.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = r.conn.Close()
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return // still broken: the next one tries again
	}
	r.conn, r.stmts, r.broken = conn, map[string]*sql.Stmt{}, false
}

// stmt returns a prepared statement, or nil where there is no room for one more.
func (r reading) stmt(query string) (*sql.Stmt, error) {
	if stmt, ok := r.stmts[query]; ok || len(r.stmts) >= maxPrepared {
		return stmt, nil
	}
	stmt, err := r.conn.PrepareContext(r.ctx, query)
	if err != nil {
		return nil, err
	}
	r.stmts[query] = stmt
	return stmt, nil
}

func (r reading) exec(query string) error {
	stmt, err := r.stmt(query) //nolint:sqlclosecheck // closed with the reader
	if err != nil {
		return err
	}
	if stmt == nil {
		_, err = r.conn.ExecContext(r.ctx, query)
	} else {
		_, err = stmt.ExecContext(r.ctx)
	}
	return err
}

func (r reading) query(query string, args ...any) (*sql.Rows, error) {
	stmt, err := r.stmt(query) //nolint:sqlclosecheck // closed with the reader
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return r.conn.QueryContext(r.ctx, query, args...)
	}
	return stmt.QueryContext(r.ctx, args...)
}

func (r reading) queryRow(query string, args ...any) rowScanner {
	stmt, err := r.stmt(query) //nolint:sqlclosecheck // closed with the reader
	if err != nil {
		return failedRow{err}
	}
	if stmt == nil {
		return r.conn.QueryRowContext(r.ctx, query, args...)
	}
	return stmt.QueryRowContext(r.ctx, args...)
}

// each runs a query and calls scan for each of its rows.
func (r reading) each(scan func(rowScanner) error, query string, args ...any) error {
	rows, err := r.query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// closeReaders takes every reader back from whoever has it and closes it.
func (s *Store) closeReaders() error {
	var errs []error
	for range cap(s.readers) {
		r := <-s.readers
		for _, stmt := range r.stmts {
			errs = append(errs, stmt.Close())
		}
		errs = append(errs, r.conn.Close())
	}
	return errors.Join(errs...)
}
