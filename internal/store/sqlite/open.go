package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	_ "modernc.org/sqlite" // registers the driver
)

// applicationID marks a file as Stint's ("STNT", in the header's field for it).
const applicationID = 0x53544e54

//go:embed migrations/*.sql
var migrations embed.FS

// The errors of Open that people meet.
var (
	ErrNotADatabase = errors.New("is not a SQLite database")
	ErrNotOurs      = errors.New("is a SQLite database, but not one of Stint's")
	ErrNewer        = errors.New("was written by a newer version of Stint")
	ErrInUse        = errors.New("is in use by another process of Stint")
)

// Options are the settings of a store.
type Options struct {
	// Path of the file. It is made, with mode 0600, where it does not exist.
	Path string
	// ReadOnly opens a file that must exist, without the lock: another process
	// may be writing to it.
	ReadOnly bool
}

// Store is the SQLite store. Open makes one; Close ends it.
type Store struct {
	write   *sql.DB // one connection
	read    *sql.DB // as many as there are readers, which hold them
	readers chan *reader
	lock    *flock.Flock

	ops       chan *op
	closing   chan struct{}
	closeOnce sync.Once
	done      chan struct{} // the writer has stopped

	closeFilesOnce sync.Once
	closeErr       error

	stmts *statements
}

// Open opens the file, checks that it is Stint's, and brings its schema up to
// date. Its errors wrap ErrNotADatabase, ErrNotOurs, ErrNewer or ErrInUse; a
// file refused so is left untouched.
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
	if err := s.openForWriting(ctx, o.Path); err != nil {
		return nil, err
	}
	go s.writeLoop() //nolint:contextcheck // it lives until Close
	return s, nil
}

func (s *Store) openForWriting(ctx context.Context, path string) error {
	s.lock = flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := s.lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	if !locked {
		return fmt.Errorf("%s %w (it holds %s.lock)", path, ErrInUse, path)
	}
	// Made here and not by the driver, which would take the process's umask.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the path is the operator's own
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if s.write, err = openPool(path, false, 1); err != nil {
		return err
	}
	if err := checkVersion(ctx, s.write, path); err != nil {
		return err
	}
	if _, err := s.write.ExecContext(ctx, "PRAGMA journal_mode=WAL"); err != nil {
		return fmt.Errorf("switch %s to WAL: %w", path, err)
	}
	if err := s.migrate(ctx); err != nil {
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
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Ping reports whether the file can be read.
func (s *Store) Ping(ctx context.Context) error {
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
		"journal_size_limit(67108864)",
	}}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
		q.Add("_pragma", "cache_size(-16384)")
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

// checkHeader looks at the file's first bytes without SQLite, which could
// change a file that it opens.
func checkHeader(o Options) error {
	f, err := os.Open(o.Path)
	if errors.Is(err, fs.ErrNotExist) && !o.ReadOnly {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", o.Path, err)
	}
	defer f.Close()
	header := make([]byte, 100)
	n, err := io.ReadFull(f, header)
	switch {
	case errors.Is(err, io.EOF) && !o.ReadOnly:
		return nil // empty: SQLite's own notion of a new database
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
		return fmt.Errorf("read %s: %w", o.Path, err)
	case n < len(header) || !bytes.HasPrefix(header, []byte("SQLite format 3\x00")):
		return fmt.Errorf("%s %w", o.Path, ErrNotADatabase)
	}
	// A crash can leave the mark in the WAL alone; checkVersion looks there.
	id, version := binary.BigEndian.Uint32(header[68:]), binary.BigEndian.Uint32(header[60:])
	if id != applicationID && id != 0 {
		return fmt.Errorf("%s %w", o.Path, ErrNotOurs)
	}
	if id == applicationID && int(version) > latest() {
		return newer(o.Path, int(version))
	}
	return nil
}

// checkVersion refuses a database that is not Stint's or is newer than this
// program. It writes nothing.
func checkVersion(ctx context.Context, db rowQuerier, path string) error {
	var id, version, tables int
	for _, q := range []struct {
		sql string
		to  *int
	}{
		{"PRAGMA application_id", &id},
		{"PRAGMA user_version", &version},
		{"SELECT count(*) FROM sqlite_schema", &tables},
	} {
		if err := db.QueryRowContext(ctx, q.sql).Scan(q.to); err != nil {
			if primaryCode(err) == 26 { // SQLITE_NOTADB
				return fmt.Errorf("%s %w", path, ErrNotADatabase)
			}
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	if id != applicationID && tables > 0 {
		return fmt.Errorf("%s %w", path, ErrNotOurs)
	}
	if version > latest() {
		return newer(path, version)
	}
	return nil
}

type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func newer(path string, version int) error {
	return fmt.Errorf("%s %w: its schema is version %d, this program knows up to %d", path, ErrNewer, version, latest())
}

// latest returns the newest schema version that this program knows.
func latest() int {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0
	}
	return len(names)
}

// migrate applies the migrations that the file lacks, each in a transaction of
// its own together with the new version number.
func (s *Store) migrate(ctx context.Context) error {
	var version int
	if err := s.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("read the schema version: %w", err)
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("list migrations: %w", err)
	}
	for i := version; i < len(names); i++ {
		script, err := migrations.ReadFile(names[i])
		if err != nil {
			return fmt.Errorf("read migration %s: %w", names[i], err)
		}
		tx, err := s.write.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("migrate to version %d: %w", i+1, err)
		}
		mark := fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, i+1)
		for _, text := range []string{string(script), mark} {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				_ = tx.Rollback()
				return fmt.Errorf("migrate to version %d (%s): %w", i+1, names[i], err)
			}
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("migrate to version %d: %w", i+1, err)
		}
	}
	return nil
}

// millis and at convert between times and stored milliseconds; zero is NULL.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func at(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}
