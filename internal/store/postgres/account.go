package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/account"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// maxHeldRecords is how many bytes of bodies a list holds at once.
const maxHeldRecords = 1 << 20

// recordColumns are those of an account.Stored but its body, in the order of
// scanRecord: r is accounts or entitlements, s is sources. What belongs to a source
// that is no longer there is never shown: every read joins the two.
const recordColumns = `r.id, s.id AS source_id, s.name AS source_name, r.key, r.name, r.created, r.modified, r.change, r.task_id`

// recordSQL reads one record by its id.
const recordSQL = "SELECT " + recordColumns + ", r.body FROM @records r JOIN sources s ON s.seq = r.source WHERE r.id = ?"

// fillSQL reads records by their ids, in the order of these, and the first
// megabyte of bodies.
const fillSQL = `SELECT n, id, source_id, source_name, key, name, created, modified, change, task_id, CASE WHEN size < ? THEN body END
	FROM (SELECT *, coalesce(sum(octet_length(body)) OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS size
		FROM (SELECT u.n, ` + recordColumns + `, r.body FROM unnest(?::uuid[]) WITH ORDINALITY u (id, n)
			JOIN @records r ON r.id = u.id JOIN sources s ON s.seq = r.source) found) summed ORDER BY n`

// scanRecord reads a record, and more columns that come before it.
func scanRecord(row rowScanner, more ...any) (account.Stored, error) {
	var r account.Stored
	var id, source, last []byte
	var created, modified int64
	err := row.Scan(append(more, &id, &source, &r.SourceName, &r.Key, &r.Name, &created, &modified, &r.LastChange, &last, &r.Body)...)
	r.ID, r.SourceID, r.LastTaskID = sqlrow.ID(id), sqlrow.ID(source), sqlrow.ID(last)
	r.Created, r.Modified = time.UnixMilli(created).UTC(), time.UnixMilli(modified).UTC()
	return r, err
}

// Account returns the account with this id; the error is of kind NotFound where
// there is none.
func (s *Store) Account(ctx context.Context, id task.ID) (account.Stored, error) {
	return s.record(ctx, account.Accounts, id)
}

// Entitlement returns the entitlement with this id; the error is of kind
// NotFound where there is none.
func (s *Store) Entitlement(ctx context.Context, id task.ID) (account.Stored, error) {
	return s.record(ctx, account.Entitlements, id)
}

func (s *Store) record(ctx context.Context, class account.Class, id task.ID) (account.Stored, error) {
	var found account.Stored
	err := s.readOne(ctx, "get "+class.String(), func(r reading) (err error) {
		found, err = scanRecord(r.queryRow(ofClass(recordSQL, class), sqlrow.Blob(id)))
		if errors.Is(err, pgx.ErrNoRows) {
			return task.Errorf(task.NotFound, "", "no %s has the id %s", strings.TrimSuffix(class.String(), "s"), id)
		}
		return err
	})
	return found, err
}

// ListAccounts returns a page of the accounts, and, where the page asks for it,
// how many there are in all; else -1. Both are of one moment. The first megabyte
// of them comes with its Body; the Body of those after it is nil, and
// FillRecords reads it.
func (s *Store) ListAccounts(ctx context.Context, page query.Page) ([]account.Stored, int64, error) {
	return s.listRecords(ctx, account.Accounts, page)
}

// ListEntitlements is ListAccounts for entitlements.
func (s *Store) ListEntitlements(ctx context.Context, page query.Page) ([]account.Stored, int64, error) {
	return s.listRecords(ctx, account.Entitlements, page)
}

func (s *Store) listRecords(ctx context.Context, class account.Class, page query.Page) (found []account.Stored, total int64, err error) {
	err = s.readList(ctx, "list "+class.String(), func(r reading) (err error) {
		found, total, err = (&recordLister{reading: r, class: class}).list(page)
		return err
	})
	return found, total, err
}

// FillRecords reads records of a list again, as they are now, from the first on
// until it holds a megabyte. One that is gone meanwhile keeps a nil Body. It
// returns how many it has looked at: at least one, unless it fails.
func (s *Store) FillRecords(ctx context.Context, class account.Class, records []account.Stored) (int, error) {
	looked := 0
	err := s.readOne(ctx, "read "+class.String(), func(r reading) error {
		ids := make([][]byte, len(records))
		for i := range records {
			ids[i] = sqlrow.Blob(records[i].ID)
		}
		looked = len(records)
		return r.each(func(row rowScanner) error {
			var n int
			record, err := scanRecord(row, &n)
			if err != nil {
				return err
			}
			if record.Body == nil {
				looked = min(looked, n-1)
				return nil
			}
			records[n-1] = record
			return nil
		}, ofClass(fillSQL, class), maxHeldRecords, ids)
	})
	return looked, err
}

// ListChanges returns a page of what the run of a task has changed, in the order
// of change and key, and, where the page asks for it, how many changes there are
// in all; else -1. A task without a run has changed nothing.
func (s *Store) ListChanges(ctx context.Context, id task.ID, page query.Page) (found []account.Changed, total int64, err error) {
	err = s.readList(ctx, "list changes", func(r reading) (err error) {
		found, total, err = listChanges(r, id, page)
		return err
	})
	return found, total, err
}

const changesSQL = "SELECT change, key, name, attributes FROM changes WHERE task_id = ?"

func listChanges(r reading, id task.ID, page query.Page) (found []account.Changed, total int64, err error) {
	var source int64
	class := account.Accounts
	err = r.queryRow(runSQL, sqlrow.Blob(id)).Scan(&source, &class)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, 0, err
	}
	where := clause{"", []any{sqlrow.Blob(id)}}
	if filter := query.Simplify(page.Filter); filter != nil {
		c := compileWith(onColumn(func(f query.Field) string { return changeColumn(f, class) }), filter)
		where = clause{" AND " + c.sql, append(where.args, c.args...)}
	}
	total = -1
	if page.Count {
		if err := r.queryRow("SELECT count(*) FROM changes WHERE task_id = ?"+where.sql, where.args...).Scan(&total); err != nil {
			return nil, 0, err
		}
	}
	if page.Limit == 0 {
		return nil, total, nil
	}
	found = make([]account.Changed, 0, page.Limit)
	err = r.each(func(row rowScanner) error {
		c := account.Changed{Class: class}
		var names []byte
		if err := row.Scan(&c.Change, &c.Key, &c.Name, &names); err != nil {
			return err
		}
		found = append(found, c)
		if names == nil {
			return nil
		}
		return json.Unmarshal(names, &found[len(found)-1].Attributes)
	}, changesSQL+where.sql+" ORDER BY change, left(key, 600), key LIMIT ? OFFSET ?", append(where.args, page.Limit, page.Offset)...)
	return found, total, err
}

func changeColumn(f query.Field, class account.Class) string {
	switch {
	case f == query.FieldChange:
		return "change"
	case f == query.FieldNativeIdentity && class == account.Accounts:
		return "lower(key)"
	case f == query.FieldNativeIdentity:
		return "lower(substr(key, strpos(key, chr(31)) + 1))"
	}
	panic("postgres: no column for the field " + string(f) + " of changes")
}
