package postgres

import (
	"encoding/json"

	"stint/internal/account"
	"stint/internal/store/sqlrow"
)

// maxBulk is how many rows one statement writes.
const maxBulk = 1000

// bulk runs a statement for n rows, for those from start to end at a time.
func bulk(n int, statement func(start, end int) error) error {
	for start := 0; start < n; start += maxBulk {
		if err := statement(start, min(start+maxBulk, n)); err != nil {
			return err
		}
	}
	return nil
}

// The statements that stage. Of a record that is only known to exist everything
// stays that is stored: its name too, which would be written over it where
// unchanged records are processed. Each record is looked up by itself: the server
// would rather read all that is stored, in the belief that there is not much.
const (
	stageReadSQL = `INSERT INTO staged (task_id, key, name, hash, body)
		SELECT ?, r.key, r.name, r.hash, CASE WHEN a.hash IS DISTINCT FROM r.hash THEN r.body END
		FROM unnest(?::text[], ?::text[], ?::bytea[], ?::bytea[]) r (key, name, hash, body) LEFT JOIN LATERAL (
			SELECT hash FROM @records WHERE source = ? AND left(key, 600) = left(r.key, 600) AND key = r.key LIMIT 1) a ON true
		ON CONFLICT DO NOTHING RETURNING key`
	stageKnownSQL = `INSERT INTO staged (task_id, key, name, hash, body)
		SELECT ?, r.key, coalesce(a.name, r.name), coalesce(a.hash, r.hash), CASE WHEN a.hash IS NULL THEN r.body END
		FROM unnest(?::text[], ?::text[], ?::bytea[], ?::bytea[]) r (key, name, hash, body) LEFT JOIN LATERAL (
			SELECT name, hash FROM @records WHERE source = ? AND left(key, 600) = left(r.key, 600) AND key = r.key LIMIT 1) a ON true
		ON CONFLICT DO NOTHING RETURNING key`
)

// Stage implements account.Work.
func (w *work) Stage(records []account.Record) ([]int, error) {
	var clashes []int
	for start := 0; start < len(records); {
		end := start + 1
		for end < len(records) && end < start+maxBulk && records[end].Known == records[start].Known {
			end++
		}
		query := stageReadSQL
		if records[start].Known {
			query = stageKnownSQL
		}
		found, err := w.stage(records[start:end], ofClass(query, w.class))
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

func (w *work) stage(records []account.Record, query string) (clashes []int, err error) {
	var keys, names []string
	var hashes, bodies [][]byte
	staged := make(map[string]bool, len(records))
	for i := range records {
		r := &records[i]
		if _, twice := staged[r.Key]; twice {
			continue // the first of a key is the one that is staged
		}
		staged[r.Key] = false
		keys, names = append(keys, r.Key), append(names, r.Name)
		if r.Keep {
			hashes, bodies = append(hashes, nil), append(bodies, nil)
			continue
		}
		hashes, bodies = append(hashes, r.Hash()), append(bodies, r.Body)
	}
	err = w.each(func(row rowScanner) error {
		var key string
		err := row.Scan(&key)
		staged[key] = true
		return err
	}, query, sqlrow.Blob(w.id), keys, names, hashes, bodies, w.source)
	for i := range records {
		if !staged[records[i].Key] {
			clashes = append(clashes, i)
		}
		staged[records[i].Key] = false // what comes after the first
	}
	return clashes, err
}

const (
	createSQL = `INSERT INTO @records (source, key, id, name, created, modified, change, task_id, hash, body)
		SELECT ?, r.key, r.id, r.name, ?, ?, ?, ?, r.hash, r.body
		FROM unnest(?::text[], ?::uuid[], ?::text[], ?::bytea[], ?::bytea[]) r (key, id, name, hash, body)`
	updateSQL = `UPDATE @records a SET name = r.name, modified = ?, change = ?, task_id = ?, hash = r.hash, body = r.body
		FROM unnest(?::text[], ?::text[], ?::bytea[], ?::bytea[]) r (key, name, hash, body)
		WHERE a.source = ? AND left(a.key, 600) = left(r.key, 600) AND a.key = r.key`
	deleteSQL = `DELETE FROM @records a USING unnest(?::text[]) r (key)
		WHERE a.source = ? AND left(a.key, 600) = left(r.key, 600) AND a.key = r.key`
	logSQL = `INSERT INTO changes (task_id, change, key, name, attributes)
		SELECT ?, r.change, r.key, r.name, r.attributes
		FROM unnest(?::text[], ?::text[], ?::text[], ?::bytea[]) r (change, key, name, attributes)`
)

// Record implements account.Work.
func (w *work) Record(changes []account.Recorded) error {
	var created, updated []*account.Recorded
	for i := range changes {
		if c := &changes[i]; c.Change == account.Created {
			created = append(created, c)
		} else {
			updated = append(updated, c)
		}
	}
	now, id := w.now.UnixMilli(), sqlrow.Blob(w.id)
	err := bulk(len(updated), func(start, end int) error {
		c := columnsOf(updated[start:end])
		return w.exec(ofClass(updateSQL, w.class), now, string(account.Updated), id, c.keys, c.names, c.hashes, c.bodies, w.source)
	})
	if err != nil {
		return err
	}
	w.added += int64(len(created))
	err = bulk(len(created), func(start, end int) error {
		c := columnsOf(created[start:end])
		return w.exec(ofClass(createSQL, w.class), w.source, now, now, string(account.Created), id, c.keys, c.ids, c.names, c.hashes, c.bodies)
	})
	if err != nil {
		return err
	}
	return w.log(len(changes), func(i int) account.Changed {
		c := &changes[i]
		return account.Changed{Change: c.Change, Key: c.Key, Name: c.Name, Attributes: c.Attributes}
	})
}

// columnsOfRecords are what many records say, an array a column.
type columnsOfRecords struct {
	keys, names         []string
	ids, hashes, bodies [][]byte
}

func columnsOf(records []*account.Recorded) columnsOfRecords {
	var c columnsOfRecords
	for _, r := range records {
		c.keys, c.names = append(c.keys, r.Key), append(c.names, r.Name)
		c.ids, c.hashes, c.bodies = append(c.ids, sqlrow.Blob(r.ID)), append(c.hashes, r.Hash()), append(c.bodies, r.Body)
	}
	return c
}

// Delete implements account.Work.
func (w *work) Delete(gone []account.Gone) error {
	err := bulk(len(gone), func(start, end int) error {
		keys := make([]string, 0, end-start)
		for _, g := range gone[start:end] {
			keys = append(keys, g.Key)
		}
		return w.exec(ofClass(deleteSQL, w.class), keys, w.source)
	})
	if err != nil {
		return err
	}
	w.added -= int64(len(gone))
	return w.log(len(gone), func(i int) account.Changed {
		return account.Changed{Change: account.Deleted, Key: gone[i].Key, Name: gone[i].Name}
	})
}

// log keeps what the run has changed.
func (w *work) log(n int, changed func(i int) account.Changed) error {
	return bulk(n, func(start, end int) error {
		var words, keys, names []string
		var attributes [][]byte
		for i := start; i < end; i++ {
			c := changed(i)
			var differ []byte
			if len(c.Attributes) > 0 {
				var err error
				if differ, err = json.Marshal(c.Attributes); err != nil {
					return err
				}
			}
			words, keys, names, attributes = append(words, string(c.Change)), append(keys, c.Key), append(names, c.Name), append(attributes, differ)
		}
		return w.exec(logSQL, sqlrow.Blob(w.id), words, keys, names, attributes)
	})
}
