package postgres

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	sourceSQL      = "SELECT " + sqlrow.SourceColumns + " FROM sources WHERE id = ?"
	sourceNamedSQL = "SELECT id FROM sources WHERE lower(name) = ?"
	sourceTasksSQL = `SELECT id FROM tasks WHERE id IN (SELECT r.task_id FROM runs r JOIN sources s ON s.seq = r.source
		WHERE s.id = ? AND r.active IS NOT NULL) ORDER BY id FOR UPDATE`
	activeRunSQL = "SELECT task_id FROM runs WHERE source = ? AND class = ? AND active IS NOT NULL"
)

// sourceNameIndex keeps names apart of sources that are made at once.
const sourceNameIndex = "sources_name"

// CreateSource stores a new source and its audit entry. The error is of kind
// Conflict, and names the other's id, where the name is taken.
func (s *Store) CreateSource(ctx context.Context, src source.Source, entry audit.Entry) error {
	return s.do(ctx, "create source", func(t *txn) error {
		if err := t.nameIsFree(src.Name, src.ID); err != nil {
			return err
		}
		settings, err := sqlrow.SourceSettings(&src)
		if err != nil {
			return err
		}
		err = t.exec("INSERT INTO sources (id, name, type, created, modified, settings) VALUES (?, ?, ?, ?, ?, ?)",
			sqlrow.Blob(src.ID), src.Name, string(src.Type), src.Created.UnixMilli(), src.Modified.UnixMilli(), settings)
		if err != nil {
			return beaten(err, sourceNameIndex)
		}
		return t.addAudit(entry)
	})
}

// Source returns the source with this id. The error is of kind NotFound where
// there is none.
func (s *Store) Source(ctx context.Context, id task.ID) (source.Source, error) {
	var src source.Source
	err := s.readOne(ctx, "get source", func(r reading) (err error) {
		_, src, err = sqlrow.ScanSource(r.queryRow(sourceSQL, sqlrow.Blob(id)))
		return sqlrow.NoSource(id, err)
	})
	return src, err
}

// ListSources returns a page of the sources, and, where the page asks for it,
// how many there are in all; else -1. Both are of one moment.
func (s *Store) ListSources(ctx context.Context, page query.Page) ([]source.Source, int64, error) {
	found := []source.Source{}
	total := int64(-1)
	err := s.readMany(ctx, "list sources", func(r reading) error {
		var count *int64
		if page.Count {
			count = &total
		}
		return r.sources(page, count, func(src source.Source) { found = append(found, src) })
	})
	return found, total, err
}

// sources calls add for each source of a page, and counts all where count is not
// nil. There are few sources: a filter on anything but id or name looks at each.
func (r reading) sources(page query.Page, count *int64, add func(source.Source)) error {
	where := clause{}
	if filter := query.Simplify(page.Filter); filter != nil {
		where = compile(filter)
		where.sql = " WHERE " + where.sql
	}
	if count != nil {
		if err := r.queryRow("SELECT count(*) FROM sources"+where.sql, where.args...).Scan(count); err != nil {
			return fmt.Errorf("count: %w", err)
		}
	}
	if page.Limit == 0 {
		return nil
	}
	return r.each(func(row rowScanner) error {
		_, src, err := sqlrow.ScanSource(row)
		add(src)
		return err
	}, "SELECT "+sqlrow.SourceColumns+" FROM sources"+where.sql+orderBy(page.Sort)+" LIMIT ? OFFSET ?",
		append(where.args, page.Limit, page.Offset)...)
}

// orderBy breaks ties by id, in the direction of the last sorter.
func orderBy(sorters []query.Sorter) string {
	terms := make([]string, 0, len(sorters)+1)
	direction := ""
	for _, s := range sorters {
		direction = ""
		if s.Desc {
			direction = " DESC"
		}
		terms = append(terms, column(s.Field)+direction)
	}
	return " ORDER BY " + strings.Join(append(terms, "id"+direction), ", ")
}

// UpdateSource lets fn decide what becomes of a source, and writes that with its
// audit entry, if there is one. fn runs inside the transaction, so it sees the
// source as it is; it must be quick and may run again. Id, type, creation and
// counts stay what they are. The error is of kind NotFound where there is no
// source with this id, Conflict where the new name is another's.
func (s *Store) UpdateSource(
	ctx context.Context, id task.ID, fn func(source.Source) (source.Source, *audit.Entry, error),
) (source.Source, error) {
	var stored source.Source
	err := s.do(ctx, "update source", func(t *txn) error {
		seq, before, err := t.loadSource(id)
		if err != nil {
			return err
		}
		after, entry, err := fn(before)
		if err != nil {
			return err
		}
		after.ID, after.Type, after.Created = before.ID, before.Type, before.Created
		after.Accounts, after.Entitlements = before.Accounts, before.Entitlements
		if !reflect.DeepEqual(before, after) {
			if err := t.saveSource(seq, &after); err != nil {
				return err
			}
		}
		stored = after
		if entry != nil {
			return t.addAudit(*entry)
		}
		return nil
	})
	return stored, err
}

// DeleteSource deletes a source with its accounts and entitlements: from now on
// nothing finds them, and the rows go a little at a time (see Sweep). What Stint
// itself runs on the source is ended by end. The tasks stay. entry makes the
// audit entry; its error undoes everything. The error is of kind NotFound where
// there is no source with this id.
func (s *Store) DeleteSource(
	ctx context.Context, id task.ID, end audit.UpdateFunc, entry func(source.Deletion) (audit.Entry, error),
) (source.Deletion, error) {
	var gone source.Deletion
	err := s.do(ctx, "delete source", func(t *txn) error {
		// Tasks are locked before sources.
		if err := t.exec(sourceTasksSQL, sqlrow.Blob(id)); err != nil {
			return err
		}
		seq, src, err := t.loadSource(id)
		if err != nil {
			return err
		}
		gone = source.Deletion{Source: src, Accounts: src.Accounts, Entitlements: src.Entitlements}
		if gone.Ended, err = t.endRuns(seq, end); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM sources WHERE seq = ?", seq); err != nil {
			return err
		}
		if err := t.discard("source", sourceRef(seq)); err != nil {
			return err
		}
		e, err := entry(gone)
		if err != nil {
			return err
		}
		return t.addAudit(e)
	})
	return gone, err
}

// endRuns ends what runs on a source, at most one of each class, and returns
// the tasks that it ended.
func (t *txn) endRuns(seq int64, end audit.UpdateFunc) ([]task.Task, error) {
	var ended []task.Task
	for _, class := range []account.Class{account.Accounts, account.Entitlements} {
		var b []byte
		err := t.queryRow(activeRunSQL, seq, class).Scan(&b)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		id := sqlrow.ID(b)
		stored, refusal, err := t.applyUpdate(id, time.Time{}, end)
		if err := errors.Join(refusal, err); err != nil {
			return nil, fmt.Errorf("end task %s: %w", id, err)
		}
		if stored.Status != task.InProgress {
			ended = append(ended, stored)
		}
	}
	return ended, nil
}

// loadSource reads a source for writing, with its row number: nobody else writes it
// until the transaction ends.
func (t *txn) loadSource(id task.ID) (int64, source.Source, error) {
	seq, src, err := sqlrow.ScanSource(t.queryRow(sourceSQL+" FOR UPDATE", sqlrow.Blob(id)))
	return seq, src, sqlrow.NoSource(id, err)
}

// saveSource writes a source over its row: name, settings and when it was
// modified, which is all that can change here.
func (t *txn) saveSource(seq int64, src *source.Source) error {
	if err := t.nameIsFree(src.Name, src.ID); err != nil {
		return err
	}
	settings, err := sqlrow.SourceSettings(src)
	if err != nil {
		return err
	}
	err = t.exec("UPDATE sources SET name = ?, modified = ?, settings = ? WHERE seq = ?",
		src.Name, src.Modified.UnixMilli(), settings, seq)
	return beaten(err, sourceNameIndex)
}

// nameIsFree refuses a name that a source other than id has.
func (t *txn) nameIsFree(name string, id task.ID) error {
	var b []byte
	err := t.queryRow(sourceNamedSQL, task.LowerASCII(name)).Scan(&b)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if other := sqlrow.ID(b); other != id {
		return task.Errorf(task.Conflict, "name", "%q is the name of source %s", task.Abbreviate(name), other)
	}
	return nil
}
