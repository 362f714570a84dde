package sqlite

import (
	"encoding/json"
	"strings"

	"stint/internal/account"
	"stint/internal/store/sqlrow"
)

// The statements below say OR FAIL: they have a transaction for themselves, which
// a failure undoes, so that SQLite need not be able to undo a statement alone.

// maxBulk is how many rows one statement writes: what a statement costs by
// itself is then shared, and what it is made of stays small.
const maxBulk = 50

// bulk runs a statement of many rows as often as n rows ask. row is the text of
// one of them, args gives their parameters, rest those that follow. scan sees
// what the statements return.
func (t *txn) bulk(head, row, tail string, n int, args func(i int) []any, rest []any, scan func(rowScanner) error) error {
	for start := 0; start < n; start += maxBulk {
		size := min(maxBulk, n-start)
		var all []any
		for i := start; i < start+size; i++ {
			all = append(all, args(i)...)
		}
		query := head + row + strings.Repeat(", "+row, size-1) + tail
		if err := t.each(scan, query, append(all, rest...)...); err != nil {
			return err
		}
	}
	return nil
}

// each runs a query and calls scan for each of its rows.
func (t *txn) each(scan func(rowScanner) error, query string, args ...any) error {
	stmt, err := t.stmts.get(t.ctx, t.tx, query) //nolint:sqlclosecheck // closed with the transaction
	if err != nil {
		return err
	}
	if scan == nil {
		_, err := stmt.ExecContext(t.ctx, args...)
		return err
	}
	rows, err := stmt.QueryContext(t.ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// The statements that stage. Of a record that is only known to exist everything
// stays that is stored: its name too, which would be written over it where
// unchanged records are processed.
const (
	stageHead = `WITH r (key, name, hash, body) AS (VALUES `
	stageRow  = `(?, ?, ?, ?)`
	stageRead = `) INSERT OR FAIL INTO staged (task_id, key, name, hash, body)
		SELECT ?, r.key, r.name, r.hash, CASE WHEN a.seq IS NULL THEN r.body END
		FROM r LEFT JOIN @records a ON a.source = ? AND a.key = r.key AND a.hash = r.hash
		WHERE true ON CONFLICT DO NOTHING RETURNING key`
	stageKnown = `) INSERT OR FAIL INTO staged (task_id, key, name, hash, body)
		SELECT ?, r.key, coalesce(a.name, r.name), coalesce(a.hash, r.hash), CASE WHEN a.seq IS NULL THEN r.body END
		FROM r LEFT JOIN @records a ON a.source = ? AND a.key = r.key
		WHERE true ON CONFLICT DO NOTHING RETURNING key`
)

// Stage implements account.Work.
func (w *work) Stage(records []account.Record) ([]int, error) {
	var clashes []int
	for start := 0; start < len(records); {
		end := start + 1
		for end < len(records) && records[end].Known == records[start].Known {
			end++
		}
		tail := stageRead
		if records[start].Known {
			tail = stageKnown
		}
		found, err := w.stage(records[start:end], ofClass(tail, w.class))
		if err != nil {
			return nil, err
		}
		for _, i := range found {
			clashes = append(clashes, start+i)
		}
		start = end
	}
	return clashes, nil
}

func (w *work) stage(records []account.Record, tail string) ([]int, error) {
	staged := make(map[string]bool, len(records))
	err := w.bulk(stageHead, stageRow, tail, len(records), func(i int) []any {
		r := &records[i]
		if r.Keep {
			return []any{r.Key, r.Name, nil, nil}
		}
		return []any{r.Key, r.Name, r.Hash(), r.Body}
	}, []any{sqlrow.Blob(w.id), w.source}, func(row rowScanner) error {
		var key string
		err := row.Scan(&key)
		staged[key] = true
		return err
	})
	var clashes []int
	for i := range records {
		// The first of a key is the one that was staged.
		if !staged[records[i].Key] {
			clashes = append(clashes, i)
		}
		delete(staged, records[i].Key)
	}
	return clashes, err
}

// Record implements account.Work.
func (w *work) Record(changes []account.Recorded) error {
	var created []*account.Recorded
	update := ofClass(`UPDATE @records SET name = ?, modified = ?, change = ?, task_id = ?, hash = ?, body = ?
		WHERE source = ? AND key = ?`, w.class)
	now, id := w.now.UnixMilli(), sqlrow.Blob(w.id)
	for i := range changes {
		c := &changes[i]
		if c.Change == account.Created {
			created = append(created, c)
			continue
		}
		if err := w.exec(update, c.Name, now, string(c.Change), id, c.Hash(), c.Body, w.source, c.Key); err != nil {
			return err
		}
	}
	w.added += int64(len(created))
	insert := ofClass("INSERT OR FAIL INTO @records (source, key, id, name, created, modified, change, task_id, hash, body) VALUES ", w.class)
	err := w.bulk(insert, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "", len(created), func(i int) []any {
		c := created[i]
		return []any{w.source, c.Key, sqlrow.Blob(c.ID), c.Name, now, now, string(c.Change), id, c.Hash(), c.Body}
	}, nil, nil)
	if err != nil {
		return err
	}
	return w.log(len(changes), func(i int) account.Changed {
		c := &changes[i]
		return account.Changed{Change: c.Change, Key: c.Key, Name: c.Name, Attributes: c.Attributes}
	})
}

// Delete implements account.Work.
func (w *work) Delete(gone []account.Gone) error {
	query := ofClass("DELETE FROM @records WHERE source = ? AND key = ?", w.class)
	for _, g := range gone {
		if err := w.exec(query, w.source, g.Key); err != nil {
			return err
		}
	}
	w.added -= int64(len(gone))
	return w.log(len(gone), func(i int) account.Changed {
		return account.Changed{Change: account.Deleted, Key: gone[i].Key, Name: gone[i].Name}
	})
}

// log keeps what the run has changed.
func (w *work) log(n int, changed func(i int) account.Changed) error {
	names := make([][]byte, n)
	for i := range names {
		if attributes := changed(i).Attributes; len(attributes) > 0 {
			var err error
			if names[i], err = json.Marshal(attributes); err != nil {
				return err
			}
		}
	}
	id := sqlrow.Blob(w.id)
	return w.bulk("INSERT OR FAIL INTO changes (task_id, change, key, name, attributes) VALUES ", "(?, ?, ?, ?, ?)", "", n, func(i int) []any {
		c := changed(i)
		return []any{id, string(c.Change), c.Key, c.Name, names[i]}
	}, nil, nil)
}
