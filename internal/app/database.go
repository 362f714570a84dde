package app

import (
	"context"
	"fmt"
	"iter"
	"os"
	"time"

	"stint/internal/aggregation"
	"stint/internal/audit"
	"stint/internal/auth"
	"stint/internal/config"
	"stint/internal/engine"
	"stint/internal/httpapi"
	"stint/internal/metrics"
	"stint/internal/store/dump"
	"stint/internal/store/postgres"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// store is all that the program asks of storage, whichever it is.
type store interface {
	engine.Store
	engine.JobStore
	engine.FeedStore
	engine.Sweeper
	engine.AuditPurger
	engine.WebhookStore
	auth.Store
	aggregation.Store
	httpapi.Store
	httpapi.Sources
	httpapi.Audits
	httpapi.Accounts
	httpapi.Statistics
	metrics.Store
	// OnChange has fn called behind each commit that wrote a task, before the first
	// write, with what was launched and what has ended.
	OnChange(fn func([]task.Step))
	AnyClient(ctx context.Context) (bool, error)
	Setting(ctx context.Context, name string, initial []byte) ([]byte, error)
	Import(ctx context.Context, tasks iter.Seq2[task.Task, error], replace bool, now time.Time,
		entry func(task.ImportResult) audit.Entry) (task.ImportResult, error)
	Export(ctx context.Context, fn func(task.Row) error) error
	Dump(ctx context.Context, fn func(dump.Row) error) error
	Restore(ctx context.Context, rows iter.Seq2[dump.Row, error], entry func(dump.Counts) audit.Entry) (dump.Counts, error)
	WalkAudit(ctx context.Context, begin func(audit.State) error, entry func(*audit.Recorded) error) error
	Ping(ctx context.Context) error
	Close() error
}

// opening says what a store is opened for.
type opening struct {
	auditKey []byte
	readOnly bool // without the key; others may have it open
	shared   bool // for short writes; others may have it open
}

// openStore opens the database that --db names.
func openStore(ctx context.Context, db string, o opening) (store, error) {
	// A store that could not be opened is none, not one that is nil inside.
	if config.IsPostgres(db) {
		s, err := postgres.Open(ctx, postgres.Options{URL: db, AuditKey: o.auditKey, ReadOnly: o.readOnly, Shared: o.shared})
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := sqlite.Open(ctx, sqlite.Options{Path: db, AuditKey: o.auditKey, ReadOnly: o.readOnly, Shared: o.shared})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// begun reports whether a database has a key already.
func begun(ctx context.Context, db string) (bool, error) {
	if config.IsPostgres(db) {
		return postgres.Begun(ctx, db)
	}
	return sqlite.Begun(ctx, db)
}

// mustExist refuses a database that is not there. One on a server says so itself.
func mustExist(db string) error {
	if config.IsPostgres(db) {
		return nil
	}
	if _, err := os.Stat(db); err != nil {
		return fmt.Errorf("the database: %w", err)
	}
	return nil
}
