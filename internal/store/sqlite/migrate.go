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
	"os"
	"time"

	lib "modernc.org/sqlite/lib"
)

// applicationID marks a file as Stint's ("STNT", in the header's field for it).
const applicationID = 0x53544e54

//go:embed migrations/*.sql
var migrations embed.FS

// checkHeader looks at the file's first bytes without SQLite, which could
// change a file that it opens.
func checkHeader(o Options) error {
	f, err := os.Open(o.Path)
	if errors.Is(err, fs.ErrNotExist) && !o.ReadOnly {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the database: %w", err)
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
	// In one statement, or another process makes the tables between two of them.
	err := db.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id, pragma_user_version`).Scan(&id, &version, &tables)
	if err != nil {
		return cannotRead(path, err)
	}
	if id != applicationID && tables > 0 {
		return fmt.Errorf("%s %w", path, ErrNotOurs)
	}
	if version > latest() {
		return newer(path, version)
	}
	return nil
}

// checkCurrent refuses a database whose schema is not this program's, after a
// while: whoever has it open may just be bringing it up to date.
func checkCurrent(ctx context.Context, db rowQuerier, path string) error {
	const tries, pause = 50, 100 * time.Millisecond
	again := time.NewTicker(pause)
	defer again.Stop()
	for range tries {
		var version int
		if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return cannotRead(path, err)
		}
		if version == latest() {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("%s %w of another version", path, ErrInUse)
}

type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// cannotRead tells a file that is no database from one that cannot be read now.
func cannotRead(path string, err error) error {
	if primaryCode(err) == lib.SQLITE_NOTADB {
		return fmt.Errorf("%s %w", path, ErrNotADatabase)
	}
	return fmt.Errorf("read %s: %w", path, err)
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
func (s *Store) migrate(ctx context.Context, o Options) error {
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
		if err := finishMigration(ctx, tx, i+1, o); err != nil {
			_ = tx.Rollback()
			return fmt.Errorf("migrate to version %d: %w", i+1, err)
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("migrate to version %d: %w", i+1, err)
		}
	}
	return nil
}

// auditVersion is the first version with a chain of the audit.
const auditVersion = 3

// finishMigration does, after the script of a version and in its transaction, what
// SQL cannot.
func finishMigration(ctx context.Context, tx *sql.Tx, version int, o Options) error {
	if version != auditVersion {
		return nil
	}
	deployment, err := newDeployment()
	if err != nil {
		return err
	}
	return beginChain(ctx, tx, o.AuditKey, deployment)
}
