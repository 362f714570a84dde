package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/gofrs/flock"
	_ "modernc.org/sqlite" // registers the driver

	"stint/internal/audit"
	"stint/internal/store/chunk"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// The errors of Open that people meet.
var (
	ErrNotADatabase = errors.New("is not a SQLite database")
	ErrNotOurs      = errors.New("is a SQLite database, but not one of Stint's")
	ErrNewer        = errors.New("was written by a newer version of Stint")
	ErrInUse        = errors.New("is in use by another process of Stint")
	ErrOtherKey     = errors.New("was begun with another key file, and its audit can only be continued with that one: bring it back, or name it with --key-file")
)

// Options are the settings of a store.
type Options struct {
	// Path of the file. It is made, with mode 0600, where it does not exist.
	Path string
	// ReadOnly opens a file that must exist, without the lock: another process
	// may be writing to it.
	ReadOnly bool
	// Shared opens a file although another process serves it, for short writes beside
	// it. The other one must have brought the schema up to date.
	Shared bool
	// AuditKey is the key under which the entries of the audit are linked; always
	// the same for one database. Without one, whoever can write to the file can
	// make links too, and the chain proves little.
	AuditKey []byte
}

// Store is the SQLite store. Open makes one; Close ends it.
type Store struct {
	write   *sql.DB // one connection
	read    *sql.DB // as many as there are readers, which hold them
	readers chan *reader
	lists   chan struct{} // holds a token for each list under way
	lock    *flock.Flock
	path    string
	opened  os.FileInfo // of path, as it was opened

	ops       chan *op
	closing   chan struct{}
	closeOnce sync.Once
	done      chan struct{} // the writer has stopped

	closeFilesOnce sync.Once
	closeErr       error

	stmts      *statements
	onTask     TaskHook
	onDelivery DeliveryHook
	onChange   func([]task.Step)
	chain      atomic.Pointer[audit.Chain]

	chunks *chunk.Codec
	faults sqlrow.Faults
}

// Open opens the file, checks that it is Stint's, and brings its schema up to
// date. Its errors wrap ErrNotADatabase, ErrNotOurs, ErrNewer, ErrInUse or
// ErrOtherKey; a file refused so is left untouched.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	if err := checkHeader(o); err != nil {
		return nil, err
	}
	s := &Store{
		ops: make(chan *op), closing: make(chan struct{}), done: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closeFiles())
		}
	}()
	if s.chunks, err = chunk.New(); err != nil {
		return nil, err
	}
	if o.ReadOnly {
		if err := s.openReaders(ctx, o.Path); err != nil {
			return nil, err
		}
		err := s.readOne(ctx, "check the file", func(r reading) error { return checkVersion(ctx, r.conn, o.Path) })
		if err != nil {
			return nil, err
		}
		close(s.done)
		return s, nil
	}
	if err := s.openForWriting(ctx, o); err != nil {
		return nil, err
	}
	go s.writeLoop() //nolint:contextcheck // it lives until Close
	return s, nil
}

func (s *Store) openForWriting(ctx context.Context, o Options) error {
	path := o.Path
	// The lock stands beside the file itself, whatever link led there.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	s.lock = flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := s.lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	if !locked && !o.Shared {
		return fmt.Errorf("%s %w (it holds %s.lock)", path, ErrInUse, path)
	}
	// Made here and not by the driver, which would take the process's umask.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the path is the operator's own
	if err != nil {
		return fmt.Errorf("the database: %w", err)
	}
	s.path = path
	s.opened, err = f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("the database: %w", err)
	}
	if s.write, err = openPool(path, false, 1); err != nil {
		return err
	}
	if err := checkVersion(ctx, s.write, path); err != nil {
		return err
	}
	if !locked {
		// Whoever has it open must know the schema.
		if err := checkCurrent(ctx, s.write, path); err != nil {
			return err
		}
	}
	if _, err := s.write.ExecContext(ctx, "PRAGMA journal_mode=WAL"); err != nil {
		return fmt.Errorf("switch %s to WAL: %w", path, err)
	}
	if err := s.migrate(ctx, o); err != nil {
		return err
	}
	if err := s.openChain(ctx, o); err != nil {
		return err
	}
	s.stmts = newStatements(s.write)
	return s.openReaders(ctx, path)
}

// Close waits for the writes under way, then releases the file. It is safe to
// call more than once.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	<-s.done
	s.closeFilesOnce.Do(func() { s.closeErr = s.closeFiles() })
	return s.closeErr
}

func (s *Store) closeFiles() error {
	var errs []error
	if s.readers != nil {
		errs = append(errs, s.closeReaders())
	}
	if s.stmts != nil {
		errs = append(errs, s.stmts.close())
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.chunks != nil {
		s.chunks.Close()
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}

// stillThere reports whether the path names the file that was opened. What is
// written to a file that somebody deleted or replaced is gone when it closes.
func (s *Store) stillThere() error {
	if s.opened == nil {
		return nil
	}
	now, err := os.Stat(s.path)
	if err == nil && !os.SameFile(now, s.opened) {
		err = errors.New("another file stands at " + s.path)
	}
	if err != nil {
		return unavailable("the database file was removed or replaced", err)
	}
	return nil
}

// Ping reports whether the file can be read.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.stillThere(); err != nil {
		return interpret("ping", err)
	}
	var n int
	return s.readOne(ctx, "ping", func(r reading) error { return r.queryRow("SELECT count(*) FROM settings").Scan(&n) })
}

func openPool(path string, readOnly bool, connections int) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", path, err)
	}
	q := url.Values{"_pragma": {
		"busy_timeout(5000)", "foreign_keys(1)", "synchronous(FULL)", "temp_store(MEMORY)",
		"journal_size_limit(67108864)", "wal_autocheckpoint(8000)",
	}}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
		q.Add("_pragma", "cache_size(-8192)")
	} else {
		q.Add("_pragma", "cache_size(-65536)")
		q.Set("_txlock", "immediate")
	}
	dsn := url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(0)
	db.SetConnMaxLifetime(0)
	return db, nil
}
