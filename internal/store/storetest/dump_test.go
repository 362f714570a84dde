package storetest_test

import (
	"context"
	"iter"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/dump"
	"stint/internal/store/storetest"
	"stint/internal/task"
)

// brokenDumps are the ways in which a move can be wrong.
func brokenDumps() map[string]breaks {
	type s = storetest.Store
	without := func(table string) func(dump.Row) *dump.Row {
		return func(r dump.Row) *dump.Row {
			if r.Table == table {
				return nil
			}
			return &r
		}
	}
	setting := func(table, column string, is func(any) bool, to any) func(dump.Row) *dump.Row {
		return func(r dump.Row) *dump.Row {
			for _, t := range dump.Tables() {
				for i, c := range t.Columns {
					if t.Name == table && r.Table == table && c.Name == column && is(r.Values[i]) {
						r.Values[i] = to
					}
				}
			}
			return &r
		}
	}
	isNull := func(v any) bool { return v == nil }
	isEmpty := func(v any) bool { b, ok := v.([]byte); return ok && len(b) == 0 }
	return map[string]breaks{
		"a table left out":      {"dump", func(in s) s { return altering{in, without("history")} }},
		"uploads left out":      {"dump", func(in s) s { return altering{in, without("upload_chunks")} }},
		"nulls turned to empty": {"dump", func(in s) s { return altering{in, setting("staged", "hash", isNull, []byte{})} }},
		"empty turned to null": {"dump", func(in s) s {
			return altering{in, setting("audit", "before", isEmpty, nil)}
		}},
		"built-in tasks made others'": {"dump", func(in s) s { return altering{in, setting("tasks", "job", func(any) bool { return true }, nil)} }},
		"numbers of sources forgotten": {"dump", func(in s) s {
			return altering{in, setting("sequences", "last", func(any) bool { return true }, int64(0))}
		}},
		"tallies not rebuilt":            {"dump", func(in s) s { return &uncounted{restoring{Store: in}} }},
		"deadlines not rebuilt":          {"dump", func(in s) s { return &undue{restoring{Store: in}} }},
		"entry of a restore lost":        {"dump", func(in s) s { return otherEntry{in} }},
		"a dump of many moments":         {"dump is of one moment", func(in s) s { return manyMoments{in} }},
		"restore in pieces":              {"restore refuses", func(in s) s { return pieces{in} }},
		"refused restore taken for done": {"restore refuses", func(in s) s { return hopeful{in} }},
		"nothing checked of a restore":   {"restore refuses", func(in s) s { return altering{in, setting("history", "actor", isNull, "")} }},
	}
}

type rows = iter.Seq2[dump.Row, error]

type entryOf = func(dump.Counts) audit.Entry

// altering restores other rows than those it was given.
type altering struct {
	storetest.Store
	change func(dump.Row) *dump.Row
}

func (b altering) Restore(ctx context.Context, in rows, entry entryOf) (dump.Counts, error) {
	return b.Store.Restore(ctx, func(yield func(dump.Row, error) bool) {
		for r, err := range in {
			changed := &r
			if err == nil {
				changed = b.change(r)
			}
			if changed != nil && !yield(*changed, err) {
				return
			}
		}
	}, entry)
}

// restoring knows whether it was restored.
type restoring struct {
	storetest.Store
	restored bool
}

func (b *restoring) Restore(ctx context.Context, in rows, entry entryOf) (dump.Counts, error) {
	b.restored = true
	return b.Store.Restore(ctx, in, entry)
}

// uncounted counts what was there before a restore.
type uncounted struct{ restoring }

func (b *uncounted) List(ctx context.Context, page query.Page, since time.Time) ([]task.Row, int64, error) {
	found, n, err := b.Store.List(ctx, page, since)
	if b.restored && page.Count {
		n = 0
	}
	return found, n, err
}

// undue knows no deadlines after a restore.
type undue struct{ restoring }

func (b *undue) Overdue(ctx context.Context, now time.Time, limit int) ([]task.ID, error) {
	if b.restored {
		return nil, nil
	}
	return b.Store.Overdue(ctx, now, limit)
}

type otherEntry struct{ storetest.Store }

func (b otherEntry) Restore(ctx context.Context, in rows, entry entryOf) (dump.Counts, error) {
	return b.Store.Restore(ctx, in, func(c dump.Counts) audit.Entry {
		e := entry(c)
		e.After = nil
		return e
	})
}

// manyMoments reads each table by itself.
type manyMoments struct{ storetest.Store }

func (b manyMoments) Dump(ctx context.Context, fn func(dump.Row) error) error {
	for _, t := range dump.Tables() {
		err := b.Store.Dump(ctx, func(r dump.Row) error {
			if r.Table != t.Name {
				return nil
			}
			return fn(r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pieces keeps what came before an error.
type pieces struct{ storetest.Store }

func (b pieces) Restore(ctx context.Context, in rows, entry entryOf) (dump.Counts, error) {
	var failure error
	_, err := b.Store.Restore(ctx, func(yield func(dump.Row, error) bool) {
		for r, err := range in {
			if failure = err; err != nil || !yield(r, nil) {
				return
			}
		}
	}, entry)
	if failure != nil {
		err = failure
	}
	return nil, err
}

type hopeful struct{ storetest.Store }

func (b hopeful) Restore(ctx context.Context, in rows, entry entryOf) (dump.Counts, error) {
	counts, err := b.Store.Restore(ctx, in, entry)
	if task.KindOf(err) == task.Conflict {
		return dump.Counts{}, nil
	}
	return counts, err
}
