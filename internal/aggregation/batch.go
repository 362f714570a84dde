package aggregation

import "stint/internal/account"

// batch is what the next transaction stages. Rows of one account that can be one
// record are made one here: a transaction, in which everybody waits, then has to
// look at what was staged once for each account and not for each row.
type batch struct {
	records  []account.Record
	lines    [][]int64 // of the rows of each record
	problems []account.Problem
	rows     int64
	size     int

	columns []string // in which rows of one account may differ
	first   map[string]int
	// alike finds a record by its key and likeness, of keys that have come again.
	alike map[string]int
	again map[string]bool
}

func newBatch(columns []string) *batch {
	return &batch{columns: columns, first: map[string]int{}, alike: map[string]int{}, again: map[string]bool{}}
}

func (b *batch) full() bool { return b.rows >= maxStaged || b.size >= maxStagedBytes }

// add takes a row; line is its last one.
func (b *batch) add(row *account.Row, line int64) {
	b.rows++
	if row.Problem != nil {
		b.problems = append(b.problems, *row.Problem)
		line = row.Problem.Line
		if row.Record.Key == "" {
			return
		}
	}
	r := row.Record
	b.size += len(r.Key) + len(r.Body)
	i, again := b.first[r.Key]
	switch {
	case !again:
		b.first[r.Key] = len(b.records)
	case r.Keep:
		return // what there is says as much
	case b.records[i].Keep:
		b.records[i], b.lines[i] = r, []int64{line}
		return
	default:
		like := r.Key + "\x00" + account.Likeness(&r, b.columns)
		if !b.again[r.Key] {
			b.again[r.Key] = true
			b.alike[r.Key+"\x00"+account.Likeness(&b.records[i], b.columns)] = i
		}
		if j, ok := b.alike[like]; ok {
			if merged, ok := account.Merge(b.records[j], r, b.columns); ok && len(merged.Body) <= maxMerged {
				b.records[j] = merged
				b.lines[j] = append(b.lines[j], line)
				return
			}
		}
		b.alike[like] = len(b.records)
	}
	b.records = append(b.records, r)
	b.lines = append(b.lines, []int64{line})
}
