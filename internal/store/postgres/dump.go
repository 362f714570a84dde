package postgres

import (
	"context"
	"strings"

	"stint/internal/store/dump"
)

const (
	// dumpBatch is how many rows a dump fetches at once.
	dumpBatch = 1000

	// A dump goes at the pace of whoever writes it down, and rather through an index
	// than that it sorts all rows on the server's disk.
	beginDump = beginRead + "; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL enable_sort = off"

	dumpSequencesSQL = `SELECT name, coalesce(pg_sequence_last_value(pg_get_serial_sequence(name, 'seq')::regclass), 0)
		FROM unnest(ARRAY['signing_keys', 'sources']) name ORDER BY name COLLATE "C"`
)

// Dump calls fn for every row of every table of package dump, in their order, as of
// one moment. It stops at fn's first error. It takes the place of a list.
func (s *Store) Dump(ctx context.Context, fn func(dump.Row) error) error {
	const doing = "dump"
	if err := take(ctx, s.lists); err != nil {
		return interpret(doing, err)
	}
	defer func() { <-s.lists }()
	return interpret(doing, s.read(ctx, beginDump, func(r reading) error {
		for _, t := range dump.Tables() {
			// Each has a name of its own: what columns a FETCH has is remembered.
			cursor := "dump_" + t.Name
			if _, err := r.conn.Exec(ctx, "DECLARE "+cursor+" NO SCROLL CURSOR FOR "+dumpSQL(&t)); err != nil {
				return err
			}
			row := newDumped(&t)
			err := r.fetchEach(cursor, dumpBatch, func(from rowScanner) error {
				if err := from.Scan(row.to...); err != nil {
					return err
				}
				return fn(dump.Row{Table: t.Name, Values: row.values()})
			})
			if err != nil {
				return err
			}
			if _, err := r.conn.Exec(ctx, "CLOSE "+cursor); err != nil {
				return err
			}
		}
		return nil
	}))
}

func dumpSQL(t *dump.Table) string {
	if t.Name == dump.Sequences {
		return dumpSequencesSQL
	}
	names := columnNames(t)
	var order []string
	for i, c := range t.Columns {
		switch {
		case i >= t.Key:
		case t.Name == dump.Tasks && c.Name == "created":
			order = append(order, "created + 0") // as the index is
		case c.Name == "key" && t.Key > 1:
			// As the index is, which holds the beginning of what may be long.
			order = append(order, "left(key, 600)", "key")
		default:
			order = append(order, names[i])
		}
		if c.Name == "job" {
			names[i] = "job * 0" // the number of a job means nothing elsewhere
		}
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM " + t.Name + " ORDER BY " + strings.Join(order, ", ")
}

func columnNames(t *dump.Table) []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
		if c.Name == "user" {
			names[i] = "username" // a reserved word here
		}
	}
	return names
}

// isBytea reports whether text is kept as bytes: what people write without a bound,
// and may hold anything.
func isBytea(table, column string) bool {
	switch table + "." + column {
	case "tasks.cancel_reason", "history.text", "idempotency.key", "audit.agent", "audit.words", "audit.reason":
		return true
	}
	return false
}

// dumped is where rows of a table are scanned to.
type dumped struct {
	table   *dump.Table
	numbers []*int64
	texts   []*string
	bytes   [][]byte
	to      []any
}

func newDumped(t *dump.Table) *dumped {
	n := len(t.Columns)
	d := &dumped{table: t, numbers: make([]*int64, n), texts: make([]*string, n), bytes: make([][]byte, n), to: make([]any, n)}
	for i, c := range t.Columns {
		switch {
		case c.Type == dump.Int:
			d.to[i] = &d.numbers[i]
		case c.Type == dump.Text && !isBytea(t.Name, c.Name):
			d.to[i] = &d.texts[i]
		default:
			d.to[i] = &d.bytes[i]
		}
	}
	return d
}

// values returns the row that was scanned last.
func (d *dumped) values() []any {
	values := make([]any, len(d.to))
	for i := range values {
		switch {
		case d.numbers[i] != nil:
			values[i] = *d.numbers[i]
		case d.texts[i] != nil:
			values[i] = *d.texts[i]
		case d.bytes[i] != nil && d.table.Columns[i].Type == dump.Text:
			values[i] = string(d.bytes[i])
		case d.bytes[i] != nil:
			values[i] = d.bytes[i]
		}
	}
	return values
}
