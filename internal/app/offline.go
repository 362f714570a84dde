package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"stint/internal/audit"
	"stint/internal/auth"
	"stint/internal/config"
	"stint/internal/task"
	"stint/internal/transfer"
)

// ImportOptions say what to import.
type ImportOptions struct {
	DB      string
	KeyFile string // empty: beside the database
	In      io.Reader
	Name    string // of the file, for the audit
	Replace bool
	Actor   string
	Now     func() time.Time
	// Hash returns the hash of what has been read, for the audit.
	Hash func() string
}

// Import loads the tasks of a file into a database: all of them, or none. A file must
// not be in use by a server.
func Import(ctx context.Context, o ImportOptions) (_ task.ImportResult, err error) {
	keys, err := openKeys(ctx, o.DB, o.KeyFile)
	if err != nil {
		return task.ImportResult{}, err
	}
	store, err := openStore(ctx, o.DB, opening{auditKey: keys.Derive(auth.PurposeAudit), shared: config.IsPostgres(o.DB)})
	if err != nil {
		return task.ImportResult{}, err
	}
	defer store.Close()
	now := task.Millis(o.Now())
	return store.Import(ctx, transfer.Read(o.In, task.NewCatalog()), o.Replace, now, func(r task.ImportResult) audit.Entry {
		return o.entry(now, map[string]any{"added": r.Added, "unchanged": r.Unchanged, "replaced": r.Replaced})
	})
}

// entry is the audit entry of an import that did something.
func (o *ImportOptions) entry(now time.Time, did map[string]any) audit.Entry {
	did["file"], did["sha256"] = o.Name, o.Hash()
	after, err := json.Marshal(did)
	if err != nil {
		after = nil
	}
	return audit.Entry{
		At: now, Origin: audit.Origin{Actor: o.Actor, Agent: "stint import"}, Action: audit.Import, Object: o.Name, After: after,
	}
}

// Export writes all tasks of a database, oldest first, and returns how many.
func Export(ctx context.Context, db string, out io.Writer) (int, error) {
	store, err := openStore(ctx, db, opening{readOnly: true})
	if err != nil {
		return 0, err
	}
	defer store.Close()
	n := 0
	err = store.Export(ctx, func(row task.Row) error {
		n++
		return transfer.Write(out, row)
	})
	if err != nil {
		return n, fmt.Errorf("export: %w", err)
	}
	return n, nil
}
