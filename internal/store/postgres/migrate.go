package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"

	"stint/internal/store/sqlrow"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// oldestServer is the first version of PostgreSQL that Stint works with, as the
	// server numbers it.
	oldestServer = 150000
	// lockClass tells Stint's advisory locks from those of others in the database.
	lockClass = 0x53544e54
)

// versionTable holds a row for each migration that was applied.
const versionTable = `CREATE TABLE stint_schema (
	version integer     NOT NULL PRIMARY KEY,
	name    text        NOT NULL,
	applied timestamptz NOT NULL DEFAULT now()
)`

// migrate checks the server and the schema, and applies the migrations that the
// schema lacks, all in one transaction. Of several that come at once, one does and
// the others wait for it. It returns the schema's name.
func (s *Store) migrate(ctx context.Context, o Options) (schema string, err error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return "", fmt.Errorf("the database: %w", err)
	}
	defer conn.Release()
	schema, err = checkServer(ctx, conn.Conn())
	if err != nil {
		return "", err
	}
	version, err := schemaVersion(ctx, conn.Conn(), schema)
	switch {
	case err != nil || version == latest():
		return schema, err
	case version == 0 && o.ReadOnly:
		return "", fmt.Errorf("the schema %s %w", schema, ErrEmpty)
	case version > 0 && (o.Shared || o.ReadOnly):
		return "", fmt.Errorf("the schema %s %w", schema, ErrOlder)
	}
	return schema, s.migrateFrom(ctx, conn.Conn(), schema, o)
}

func (s *Store) migrateFrom(ctx context.Context, conn *pgx.Conn, schema string, o Options) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, hashtext($2))", lockClass, schema); err != nil {
		return fmt.Errorf("wait for the turn to migrate: %w", err)
	}
	version, err := schemaVersion(ctx, tx.Conn(), schema)
	if err != nil {
		return err
	}
	if err := applyAll(ctx, tx, version, o); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// checkServer refuses a server that Stint does not work with, and returns the
// schema that new tables are made in.
func checkServer(ctx context.Context, conn *pgx.Conn) (string, error) {
	var number int
	var version, encoding string
	var schema *string
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version'),
		current_setting('server_encoding'), current_schema()`).Scan(&number, &version, &encoding, &schema)
	switch {
	case err != nil:
		return "", fmt.Errorf("look at the database: %w", err)
	case number < oldestServer:
		return "", fmt.Errorf("the PostgreSQL server %w: it is %s, and must be 15 or newer", ErrTooOld, version)
	case encoding != "UTF8":
		return "", fmt.Errorf("the database %w: its encoding is %s", ErrEncoding, encoding)
	case schema == nil:
		return "", errors.New("the database has none of the schemas that search_path names: make it first")
	}
	return *schema, nil
}

// schemaVersion returns how many migrations were applied. It refuses a schema with
// tables of others, and one that is newer than this program.
func schemaVersion(ctx context.Context, conn *pgx.Conn, schema string) (int, error) {
	var known, foreign bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'stint_schema'),
		EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename IN ('tasks', 'sources', 'audit', 'settings'))`,
		schema).Scan(&known, &foreign)
	if err != nil {
		return 0, fmt.Errorf("look at the schema: %w", err)
	}
	if !known {
		if foreign {
			return 0, fmt.Errorf("the schema %s %w", schema, ErrNotOurs)
		}
		return 0, nil
	}
	var version int
	if err := conn.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM stint_schema").Scan(&version); err != nil {
		return 0, fmt.Errorf("read the schema version: %w", err)
	}
	if version > latest() {
		return 0, fmt.Errorf("the schema %s %w: it is version %d, this program knows up to %d", schema, ErrNewer, version, latest())
	}
	return version, nil
}

// latest returns the newest schema version that this program knows.
func latest() int { return len(scripts()) }

// scripts returns the names of the migrations, in their order.
func scripts() []string {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil
	}
	return names
}

func applyAll(ctx context.Context, tx pgx.Tx, version int, o Options) error {
	if version == 0 {
		if _, err := tx.Exec(ctx, versionTable); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	for i, file := range scripts() {
		if i < version {
			continue
		}
		if err := apply(ctx, tx, i+1, file, o); err != nil {
			return fmt.Errorf("migrate to version %d (%s): %w", i+1, path.Base(file), err)
		}
	}
	return nil
}

const (
	// auditVersion is the version with the chain of the audit.
	auditVersion = 3
	// searchedVersion is the one with columns that repeat what the TaskStatus says.
	searchedVersion = 6
)

func apply(ctx context.Context, tx pgx.Tx, version int, file string, o Options) error {
	script, err := migrations.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, string(script)); err != nil {
		return err
	}
	if err := finishMigration(ctx, tx, version, o); err != nil {
		return err
	}
	name := strings.TrimSuffix(path.Base(file), ".sql")
	_, err = tx.Exec(ctx, "INSERT INTO stint_schema (version, name) VALUES ($1, $2)", version, name)
	return err
}

// finishMigration does, after the script of a version and in its transaction, what
// SQL cannot.
func finishMigration(ctx context.Context, tx pgx.Tx, version int, o Options) error {
	switch version {
	case auditVersion:
		deployment, err := newDeployment()
		if err != nil {
			return err
		}
		return beginChain(ctx, tx, o.AuditKey, deployment)
	case searchedVersion:
		return fillSearched(ctx, tx)
	}
	return nil
}

const (
	firstWiresSQL   = "SELECT id, wire FROM tasks ORDER BY id LIMIT 1000"
	nextWiresSQL    = "SELECT id, wire FROM tasks WHERE id > $1 ORDER BY id LIMIT 1000"
	fillSearchedSQL = "UPDATE tasks SET (" + sqlrow.SearchedColumns + ") = ($2, $3, $4, $5, $6) WHERE id = $1"
)

// fillSearched gives all tasks the columns that repeat what their TaskStatus says.
func fillSearched(ctx context.Context, tx pgx.Tx) error {
	rows, _ := tx.Query(ctx, firstWiresSQL) // its error comes with the rows
	for {
		batch := &pgx.Batch{}
		var id, wire []byte
		_, err := pgx.ForEachRow(rows, []any{&id, &wire}, func() error {
			searched, err := sqlrow.SearchedInWire(wire)
			batch.Queue(fillSearchedSQL, append([]any{id}, searched[:]...)...)
			return err
		})
		if err != nil || batch.Len() == 0 {
			return err
		}
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		rows, _ = tx.Query(ctx, nextWiresSQL, id)
	}
}
