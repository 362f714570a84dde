package sqlite

import (
	"context"
	"fmt"
	"iter"
	"strings"

	lib "modernc.org/sqlite/lib"

	"stint/internal/audit"
	"stint/internal/store/dump"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	// dumpSequencesSQL reads the last numbers that were given; a table without any
	// has none here.
	dumpSequencesSQL = `SELECT t.name, coalesce(s.seq, 0) FROM sqlite_schema t LEFT JOIN sqlite_sequence s ON s.name = t.name
		WHERE t.name IN ('signing_keys', 'sources') ORDER BY t.name`
	restoreSequenceSQL = "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, max(?2, (SELECT coalesce(max(seq), 0) FROM @table))"
)

// maxRestoredTallies is how many counts a restore holds before it stores them.
const maxRestoredTallies = 20_000

// Dump calls fn for every row of every table of package dump, in their order, as of
// one moment. It stops at fn's first error.
func (s *Store) Dump(ctx context.Context, fn func(dump.Row) error) error {
	return s.readMany(ctx, "dump", func(r reading) error {
		var version int
		if err := r.queryRow("PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		if version != latest() {
			return task.Errorf(task.Conflict, "", "the database is of an older version: serve it once with this one")
		}
		for _, t := range dump.Tables() {
			if err := r.dumpTable(&t, fn); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r reading) dumpTable(t *dump.Table, fn func(dump.Row) error) error {
	values := make([]any, len(t.Columns))
	to := make([]any, len(values))
	for i := range values {
		to[i] = &values[i]
	}
	return r.each(func(row rowScanner) error {
		if err := row.Scan(to...); err != nil {
			return err
		}
		own := make([]any, len(values))
		for i, v := range values {
			// An empty blob comes as no bytes; a null as nil.
			if b, isBytes := v.([]byte); isBytes && b == nil {
				v = []byte{}
			}
			own[i] = v
		}
		return fn(dump.Row{Table: t.Name, Values: own})
	}, dumpSQL(t))
}

func dumpSQL(t *dump.Table) string {
	if t.Name == dump.Sequences {
		return dumpSequencesSQL
	}
	names := columnNames(t)
	key := strings.Join(names[:t.Key], ", ")
	for i, c := range t.Columns {
		if c.Name == "job" {
			names[i] = "job * 0" // the number of a job means nothing elsewhere
		}
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM " + t.Name + " ORDER BY " + key
}

func columnNames(t *dump.Table) []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// Restore makes rows, those of a dump, the content of this store, in one
// transaction: all of them or, on any error, none. The store must be empty, and
// nobody else may be using it: otherwise the error is of kind Conflict, as it is
// where the rows come from a store with another key. entry makes the one audit
// entry from how many rows there are; it is the next in the chain that came with
// them.
func (s *Store) Restore(
	ctx context.Context, rows iter.Seq2[dump.Row, error], entry func(dump.Counts) audit.Entry,
) (dump.Counts, error) {
	if s.lock == nil || !s.lock.Locked() {
		return nil, task.Errorf(task.Conflict, "", "another process has the database open; nothing can be moved into it until that has ended")
	}
	var chain *audit.Chain
	var counts dump.Counts
	err := s.doAlone(ctx, "restore", func(t *txn) error {
		m := &restorer{txn: t, ctx: ctx, content: dump.Follow(t.chain)}
		if err := m.empty(); err != nil {
			return err
		}
		if err := m.all(rows); err != nil {
			return err
		}
		var err error
		if chain, counts, err = m.content.End(); err != nil {
			return err
		}
		t.chain = chain
		return t.addAudit(entry(counts))
	})
	if err != nil {
		return nil, err
	}
	s.chain.Store(chain)
	return counts, nil
}

// restorer is one restore.
type restorer struct {
	*txn
	ctx     context.Context // the caller's: a restore takes long
	content *dump.Content
	table   string // of the last row
	insert  string // the statement for its rows
}

// empty refuses a store that holds anything, and takes away what a new one holds:
// its settings and the ends of its audit.
func (m *restorer) empty() error {
	for _, t := range dump.Tables() {
		switch t.Name {
		case dump.Sequences:
			continue
		case dump.Settings, dump.AuditHeads:
			if err := m.exec("DELETE FROM " + t.Name); err != nil {
				return err
			}
			continue
		}
		var some bool
		if err := m.queryRow("SELECT EXISTS (SELECT 1 FROM " + t.Name + ")").Scan(&some); err != nil {
			return err
		}
		if some {
			return task.Errorf(task.Conflict, "", "the database is not empty (its table %s holds rows): only a new one can take the content of another", t.Name)
		}
	}
	return m.exec("DELETE FROM sqlite_sequence WHERE name IN ('signing_keys', 'sources')")
}

func (m *restorer) all(rows iter.Seq2[dump.Row, error]) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := m.ctx.Err(); err != nil {
			return err
		}
		if err := m.content.Add(&row); err != nil {
			return err
		}
		if err := m.one(&row); err != nil {
			return err
		}
	}
	return nil
}

func (m *restorer) one(row *dump.Row) error {
	if row.Table == dump.Sequences {
		return m.sequence(row)
	}
	if row.Table != m.table {
		m.table, m.insert = row.Table, insertSQL(row.Table)
	}
	values := row.Values
	if row.Table == dump.Tasks {
		tk := row.Task()
		if m.deltas.Add(&tk, 1); len(m.deltas) > maxRestoredTallies {
			if err := m.addTallies(m.deltas); err != nil {
				return err
			}
			clear(m.deltas)
		}
		searched, err := sqlrow.SearchedIn(row)
		if err != nil {
			return err
		}
		values = append(append(values[:len(values):len(values)], sqlrow.Millis(tk.HeartbeatDeadline())), searched[:]...)
	}
	err := m.exec(m.insert, values...)
	if primaryCode(err) == lib.SQLITE_CONSTRAINT {
		misfit := row.Errorf("", "a row does not fit those before it")
		misfit.Err = err
		return misfit
	}
	return err
}

// insertSQL returns the statement that stores a row; a task's has its deadline and
// what it is found by behind it.
func insertSQL(table string) string {
	for _, t := range dump.Tables() {
		if t.Name != table {
			continue
		}
		names := columnNames(&t)
		if table == dump.Tasks {
			names = append(append(names, "deadline"), sqlrow.SearchedNames()...)
		}
		return fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)", table, strings.Join(names, ", "), strings.Repeat(", ?", len(names)-1))
	}
	return ""
}

// sequence keeps a number that was given once from being given again.
func (m *restorer) sequence(row *dump.Row) error {
	name, _ := row.Values[0].(string)
	if name != "sources" && name != "signing_keys" {
		return row.Errorf("name", "sources or signing_keys is allowed")
	}
	last, _ := row.Values[1].(int64)
	if err := m.exec("DELETE FROM sqlite_sequence WHERE name = ?", name); err != nil {
		return err
	}
	return m.exec(strings.ReplaceAll(restoreSequenceSQL, "@table", name), name, last)
}
