package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"

	"stint/internal/audit"
	"stint/internal/auth"
	"stint/internal/config"
	"stint/internal/store/dump"
	"stint/internal/task"
)

// ExportAll writes all that a database holds, as of one moment, and returns how many
// rows there are. A server may be using it.
func ExportAll(ctx context.Context, db string, out io.Writer, now func() time.Time) (dump.Counts, error) {
	if err := mustExist(db); err != nil {
		return nil, err
	}
	store, err := openStore(ctx, db, opening{readOnly: true})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	w, err := dump.NewWriter(out, now())
	if err != nil {
		return nil, err
	}
	// An error of the writer is no business of the store, which would hide it.
	var wrong error
	err = store.Dump(ctx, func(row dump.Row) error {
		wrong = w.Row(row)
		return wrong
	})
	if wrong != nil {
		err = wrong
	}
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return w.Close()
}

// ImportAll makes what ExportAll wrote the content of a database that holds nothing
// and that no server uses: all of it, or none. The key file must be that of the
// database that was exported. Of the options, Replace means nothing.
func ImportAll(ctx context.Context, o ImportOptions) (dump.Counts, error) {
	keys, err := movedKeys(o.DB, o.KeyFile)
	if err != nil {
		return nil, err
	}
	key := keys.Derive(auth.PurposeAudit)
	next, stop := iter.Pull2(dump.Read(o.In))
	defer stop()
	// A database that is begun under another key could not be used: so none is made
	// before it is known that the key fits.
	first, err := settingsOf(next, audit.NewChain(key, ""))
	if err != nil {
		return nil, err
	}
	store, err := openStore(ctx, o.DB, opening{auditKey: key})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	now := task.Millis(o.Now())
	return store.Restore(ctx, joined(first, next), func(rows dump.Counts) audit.Entry {
		return o.entry(now, map[string]any{"rows": rows})
	})
}

// movedKeys reads the key file that came with a dump. None is made: another key
// opens nothing of what the dump holds.
func movedKeys(db, keyFile string) (*auth.Keyring, error) {
	if err := config.CheckDatabase(db, keyFile); err != nil {
		return nil, err
	}
	path := config.KeyFilePath(db, keyFile)
	keys, err := auth.ReadKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key file %s is missing: that of the database that was exported moves with it; copy it there, or name it with --key-file", path)
	}
	return keys, err
}

// settingsOf reads the rows of the settings, and the one behind them, and checks
// that they are of a database under the key of a chain.
func settingsOf(next func() (dump.Row, error, bool), key *audit.Chain) ([]dump.Row, error) {
	content := dump.Follow(key)
	var rows []dump.Row
	for {
		row, err, more := next()
		if err != nil {
			return nil, err
		}
		if !more {
			_, _, err := content.End()
			return rows, err
		}
		if err := content.Add(&row); err != nil {
			return nil, err
		}
		if rows = append(rows, row); row.Table != dump.Settings {
			return rows, nil
		}
	}
}

// joined yields some rows, then the others.
func joined(first []dump.Row, next func() (dump.Row, error, bool)) iter.Seq2[dump.Row, error] {
	return func(yield func(dump.Row, error) bool) {
		for _, row := range first {
			if !yield(row, nil) {
				return
			}
		}
		for {
			row, err, more := next()
			if !more || !yield(row, err) {
				return
			}
		}
	}
}
