package storetest_test

import (
	"context"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/storetest"
	"stint/internal/task"
)

func brokenAudits() map[string]breaks {
	type s = storetest.Store
	return map[string]breaks{
		"client of an entry lost":        {"audit keeps every field", func(in s) s { return nameless{in} }},
		"filter of the audit ignored":    {"audit lists", func(in s) s { return otherAudit{in, noFilter} }},
		"after taken for at or after":    {"audit lists", func(in s) s { return otherAudit{in, inclusive} }},
		"ties of the audit in any order": {"audit lists", func(in s) s { return shuffled{in} }},
		"entries not filled in":          {"large entries", func(in s) s { return hollow{in} }},
		"entry of the audit lost":        {"audit chain", func(in s) s { return gappy{in} }},
		"entry of a failed write kept":   {"audit chain", func(in s) s { return loud{in} }},
		"checkpoint lost":                {"audit retention", func(in s) s { return unmarked{in} }},
		"retention one entry too far":    {"audit retention", func(in s) s { return overdone{in} }},
	}
}

// nameless forgets which client it was.
type nameless struct{ storetest.Store }

func (b nameless) Create(ctx context.Context, c task.Change, key task.IdempotencyKey, e audit.Entry) (task.Task, bool, error) {
	e.Origin.Client = ""
	return b.Store.Create(ctx, c, key, e)
}

// otherAudit lists another page than the one asked for.
type otherAudit struct {
	storetest.Store
	change func(*query.Page)
}

func (b otherAudit) ListAudit(ctx context.Context, page query.Page) ([]audit.Recorded, int64, error) {
	b.change(&page)
	return b.Store.ListAudit(ctx, page)
}

func inclusive(p *query.Page) {
	p.Filter = walk(p.Filter, func(e query.Expr) query.Expr {
		if r, ok := e.(query.Range); ok && r.Order == query.After {
			r.Order = query.NotLess
			return r
		}
		return e
	})
}

// shuffled has those of one time in another order.
type shuffled struct{ storetest.Store }

func (b shuffled) ListAudit(ctx context.Context, page query.Page) ([]audit.Recorded, int64, error) {
	found, n, err := b.Store.ListAudit(ctx, page)
	for i := 1; i < len(found); i++ {
		if found[i].At.Equal(found[i-1].At) {
			found[i], found[i-1] = found[i-1], found[i]
		}
	}
	return found, n, err
}

type hollow struct{ storetest.Store }

func (b hollow) FillAudit(_ context.Context, entries []audit.Recorded) (int, error) {
	return len(entries), nil
}

// gappy does not show the fourth entry of a shard.
type gappy struct{ storetest.Store }

func (b gappy) WalkAudit(ctx context.Context, begin func(audit.State) error, entry func(*audit.Recorded) error) error {
	return b.Store.WalkAudit(ctx, begin, func(e *audit.Recorded) error {
		if e.Number == 4 {
			return nil
		}
		return entry(e)
	})
}

// loud writes the entry of a change that was refused.
type loud struct{ storetest.Store }

func (b loud) Create(ctx context.Context, c task.Change, key task.IdempotencyKey, e audit.Entry) (task.Task, bool, error) {
	t, created, err := b.Store.Create(ctx, c, key, e)
	if err != nil {
		c.Task.ID = "ffffffffffffffffffffffffffffffff"
		_, _, _ = b.Store.Create(ctx, c, task.IdempotencyKey{}, e)
	}
	return t, created, err
}

type unmarked struct{ storetest.Store }

func (b unmarked) WalkAudit(ctx context.Context, begin func(audit.State) error, entry func(*audit.Recorded) error) error {
	return b.Store.WalkAudit(ctx, func(s audit.State) error {
		clear(s.Checkpoints)
		return begin(s)
	}, entry)
}

// overdone deletes what is too young.
type overdone struct{ storetest.Store }

func (b overdone) PurgeAudit(ctx context.Context, until time.Time, limit int, sign func(task.ID, *audit.Checkpoint)) (int, error) {
	return b.Store.PurgeAudit(ctx, until.Add(time.Millisecond), limit, sign)
}
