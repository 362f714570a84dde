package postgres

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"stint/internal/audit"
	"stint/internal/store/dump"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	// maxCopied and maxCopiedBytes bound how much is copied to the server at once.
	maxCopied      = 10_000
	maxCopiedBytes = 8 << 20

	// Nobody writes meanwhile, and who opens the database waits for the settings: the
	// chain of the audit becomes another.
	restoreLockSQL = "LOCK TABLE @tables IN EXCLUSIVE MODE; LOCK TABLE settings IN ACCESS EXCLUSIVE MODE"
	// A node beats every two seconds.
	restoreNodesSQL = "SELECT EXISTS (SELECT 1 FROM nodes WHERE seen > clock_timestamp() - interval '15 seconds')"
	// The server may wait for whoever reads the dump.
	restoreBeginSQL = "SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)"

	restoreTalliesSQL = `INSERT INTO tallies AS t (dimension, value, level, bucket, n)
		SELECT * FROM unnest($1::integer[], $2::bytea[], $3::integer[], $4::bigint[], $5::bigint[])
		ON CONFLICT (dimension, value, level, bucket) DO UPDATE SET n = t.n + excluded.n`
	// It stands for good, whatever becomes of the transaction: a number too many is
	// passed over then.
	restoreSequenceSQL = `SELECT setval(pg_get_serial_sequence($1, 'seq'), greatest(last, 1), last > 0)
		FROM (SELECT greatest($2, (SELECT coalesce(max(seq), 0) FROM @table)) AS last) given`
)

// Restore makes rows, those of a dump, the content of this store, in one
// transaction: all of them or, on any error, none. The store must be empty, and
// nobody else may be using it: otherwise the error is of kind Conflict, as it is
// where the rows come from a store with another key. Of those who use it, servers
// show; a command that opens it at this moment would write to a chain that is
// gone. entry makes the one audit entry from how many rows there are; it is the
// next in the chain that came with them.
func (s *Store) Restore(
	ctx context.Context, rows iter.Seq2[dump.Row, error], entry func(dump.Counts) audit.Entry,
) (dump.Counts, error) {
	var chain *audit.Chain
	var counts dump.Counts
	err := s.doOnce(ctx, "restore", func(t *txn) error {
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
		if err := t.addAudit(entry(counts)); err != nil {
			return err
		}
		return m.moveSequences()
	})
	if err != nil {
		return nil, err
	}
	s.chain.Store(chain)
	// The server would plan by what it knew of empty tables until it looks again. It
	// looks by itself, too.
	_, _ = s.pool.Exec(ctx, "ANALYZE "+strings.Join(append(tableNames(), "deadlines", "tallies"), ", "))
	return counts, nil
}

// tableNames are those of the tables that are dumped.
func tableNames() []string {
	var names []string
	for _, t := range dump.Tables() {
		if t.Name != dump.Sequences {
			names = append(names, t.Name)
		}
	}
	return names
}

// restorer is one restore.
type restorer struct {
	*txn
	ctx     context.Context // the caller's: a restore takes long
	content *dump.Content

	// What waits to be copied: rows of one table, and the deadlines of tasks.
	table     dump.Table
	bytea     []bool // by column: text that is kept as bytes
	rows      [][]any
	size      int
	deadlines [][]any

	sequences map[string]int64
}

// empty locks the tables, refuses a store that holds anything, and takes away what
// a new one holds: its settings and the ends of its audit.
func (m *restorer) empty() error {
	var served bool
	if err := m.queryRow(restoreNodesSQL).Scan(&served); err != nil {
		return err
	}
	if served {
		return task.Errorf(task.Conflict, "", "a server has the database open; stop all that do (one that was killed counts for 15 seconds)")
	}
	names := tableNames()
	lock := strings.ReplaceAll(restoreLockSQL, "@tables", strings.Join(names, ", "))
	for _, statement := range []string{restoreBeginSQL, lock, "DELETE FROM settings", "DELETE FROM audit_heads"} {
		if err := m.exec(statement); err != nil {
			return err
		}
	}
	for _, name := range names {
		var some bool
		if err := m.queryRow("SELECT EXISTS (SELECT 1 FROM " + name + ")").Scan(&some); err != nil {
			return err
		}
		if some {
			return task.Errorf(task.Conflict, "", "the database is not empty (its table %s holds rows): only a new one can take the content of another", name)
		}
	}
	return nil
}

func (m *restorer) all(rows iter.Seq2[dump.Row, error]) error {
	m.sequences = map[string]int64{"signing_keys": 0, "sources": 0}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := m.content.Add(&row); err != nil {
			return err
		}
		if row.Table == dump.Sequences {
			if err := m.keepSequence(&row); err != nil {
				return err
			}
			continue
		}
		if err := m.add(&row); err != nil {
			return err
		}
	}
	return m.send()
}

// moveSequences has the next numbers be greater than any that was given.
func (m *restorer) moveSequences() error {
	for name, last := range m.sequences {
		if err := m.exec(strings.ReplaceAll(restoreSequenceSQL, "@table", name), name, last); err != nil {
			return err
		}
	}
	return nil
}

// add has a row wait to be copied.
func (m *restorer) add(row *dump.Row) error {
	if row.Table != m.table.Name || len(m.rows) >= maxCopied || m.size >= maxCopiedBytes {
		if err := m.send(); err != nil {
			return err
		}
		m.begin(row.Table)
	}
	values := row.Values
	if slices.Contains(m.bytea, true) {
		values = slices.Clone(values) // the row itself stays as it is
	}
	for i, v := range values {
		switch v := v.(type) {
		case string:
			m.size += len(v)
			if m.bytea[i] {
				values[i] = []byte(v)
			} else if !storable(v) {
				return row.Errorf(m.table.Columns[i].Name, "PostgreSQL keeps this text only where it is valid UTF-8 without U+0000")
			}
		case []byte:
			m.size += len(v)
		}
	}
	if row.Table != dump.Tasks {
		m.rows = append(m.rows, values)
		return nil
	}
	searched, err := sqlrow.SearchedIn(row)
	if err != nil {
		return err
	}
	m.rows = append(m.rows, append(values[:len(values):len(values)], searched[:]...))
	tk := row.Task()
	m.deltas.Add(&tk, 1)
	if deadline := tk.HeartbeatDeadline(); !deadline.IsZero() {
		m.deadlines = append(m.deadlines, []any{values[taskID], deadline.UnixMilli()})
	}
	return nil
}

// taskID is the place of the id in a row of tasks.
const taskID = 1

// begin makes ready for the rows of a table.
func (m *restorer) begin(name string) {
	if m.table.Name == name {
		return
	}
	for _, t := range dump.Tables() {
		if t.Name == name {
			m.table = t
		}
	}
	m.bytea = make([]bool, len(m.table.Columns))
	for i, c := range m.table.Columns {
		m.bytea[i] = c.Type == dump.Text && isBytea(name, c.Name)
	}
}

// send copies what waits to the server.
func (m *restorer) send() error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	if len(m.rows) == 0 {
		return nil
	}
	columns := columnNames(&m.table)
	if m.table.Name == dump.Tasks {
		columns = append(columns, sqlrow.SearchedNames()...)
	}
	if err := m.copy(m.table.Name, columns, m.rows); err != nil {
		return err
	}
	if err := m.copy("deadlines", []string{"id", "deadline"}, m.deadlines); err != nil {
		return err
	}
	m.rows, m.deadlines, m.size = m.rows[:0], m.deadlines[:0], 0
	return m.sendTallies()
}

func (m *restorer) copy(table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	n, err := m.tx.CopyFrom(m.txn.ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
	if strings.HasPrefix(stateOf(err), classConstraint) {
		misfit := task.Errorf(task.Content, "", "%s: its rows do not fit each other", table)
		misfit.Err = err
		return misfit
	}
	if err == nil && n != int64(len(rows)) {
		err = fmt.Errorf("%d rows of %s were written, not %d", n, table, len(rows))
	}
	return err
}

// sendTallies stores the counts at once: nobody else changes any.
func (m *restorer) sendTallies() error {
	var dimensions, levels []int32
	var values [][]byte
	var buckets, ns []int64
	for k, n := range m.deltas {
		dimensions, levels = append(dimensions, int32(k.Dimension)), append(levels, int32(k.Level)) //nolint:gosec // there are few
		values, buckets, ns = append(values, tallyValue(k.Value)), append(buckets, k.Bucket), append(ns, n)
	}
	clear(m.deltas)
	if len(ns) == 0 {
		return nil
	}
	return m.exec(restoreTalliesSQL, dimensions, values, levels, buckets, ns)
}

// keepSequence notes which numbers were given: none is given again.
func (m *restorer) keepSequence(row *dump.Row) error {
	name, _ := row.Values[0].(string)
	if _, ok := m.sequences[name]; !ok {
		return row.Errorf("name", "sources or signing_keys is allowed")
	}
	m.sequences[name], _ = row.Values[1].(int64)
	return nil
}
