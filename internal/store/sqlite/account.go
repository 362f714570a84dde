package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"stint/internal/account"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// recordColumns are those of an account.Stored, in the order of scanRecord: r is
// accounts or entitlements, s is sources. What belongs to a source that is no
// longer there is never shown: every read joins the two.
const recordColumns = "r.id, s.id, s.name, r.key, r.name, r.created, r.modified, r.change, r.task_id, r.body"

// recordSQL reads one record by its id.
const recordSQL = "SELECT " + recordColumns + " FROM @records r INDEXED BY @records_id CROSS JOIN sources s ON s.seq = r.source WHERE r.id = ?"

func scanRecord(row rowScanner) (account.Stored, error) {
	var r account.Stored
	var id, source, last []byte
	var created, modified int64
	err := row.Scan(&id, &source, &r.SourceName, &r.Key, &r.Name, &created, &modified, &r.LastChange, &last, &r.Body)
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
		if errors.Is(err, sql.ErrNoRows) {
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
	looked, held := 0, 0
	err := s.readMany(ctx, "read "+class.String(), func(r reading) error {
		for ; looked < len(records) && held < maxHeld; looked++ {
			record, err := scanRecord(r.queryRow(ofClass(recordSQL, class), sqlrow.Blob(records[looked].ID)))
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			records[looked] = record
			held += len(record.Body)
		}
		return nil
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

func listChanges(r reading, id task.ID, page query.Page) (found []account.Changed, total int64, err error) {
	class := account.Accounts
	err = r.queryRow("SELECT class FROM runs WHERE task_id = ?", sqlrow.Blob(id)).Scan(&class)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, 0, err
	}
	where := clause{" FROM changes WHERE task_id = ?", []any{sqlrow.Blob(id)}}
	if filter := query.Simplify(page.Filter); filter != nil {
		c := compileWith(onColumn(func(f query.Field) string { return changeColumn(f, class) }), filter)
		where = clause{where.sql + " AND " + c.sql, append(where.args, c.args...)}
	}
	total = -1
	if page.Count {
		if err := r.queryRow("SELECT count(*)"+where.sql, where.args...).Scan(&total); err != nil {
			return nil, 0, err
		}
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
	}, "SELECT change, key, name, attributes"+where.sql+" ORDER BY change, key LIMIT ? OFFSET ?",
		append(where.args, page.Limit, page.Offset)...)
	return found, total, err
}

func changeColumn(f query.Field, class account.Class) string {
	switch {
	case f == query.FieldChange:
		return "change"
	case f == query.FieldNativeIdentity && class == account.Accounts:
		return "key COLLATE NOCASE"
	case f == query.FieldNativeIdentity:
		return "substr(key, instr(key, char(31)) + 1) COLLATE NOCASE"
	}
	panic("sqlite: no column for the field " + string(f) + " of changes")
}
