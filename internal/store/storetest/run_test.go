package storetest_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/store/storetest"
	"stint/internal/task"
)

// breaks is one way in which a store can be wrong, and the case that tells.
type breaks = struct {
	fails string
	wrap  func(storetest.Store) storetest.Store
}

// brokenRuns are stores that are wrong about runs.
func brokenRuns() map[string]breaks {
	type s = storetest.Store
	return map[string]breaks{
		"number of stored records lost": {"run keeps every field", func(in s) s { return otherRun{in, func(r *account.Run) { r.State.Stored = 0 }} }},
		"state of a run lost":           {"work reports", func(in s) s { return otherWork{in, func(w account.Work) account.Work { return stateless{w} }} }},
		"run without its entry":         {"run that fails", func(in s) s { return unauditedRun{in} }},
		"upload of another task taken":  {"run that fails", func(in s) s { return lenient{in} }},
		"two runs of a source":          {"run finds its source busy", func(in s) s { return crowded{in} }},
		"two runs of a source, at once": {"runs at once", func(in s) s { return crowded{in} }},
		"idempotency of runs ignored":   {"run repeated", func(in s) s { return otherLaunch{in, func(_ *account.Run, k *task.IdempotencyKey) { k.Key = "" }} }},
		"file checked otherwise is taken": {"run of another setting", func(in s) s {
			return otherLaunch{in, func(r *account.Run, _ *task.IdempotencyKey) {
				if src, err := in.Source(context.Background(), r.SourceID); err == nil {
					r.State.File = src.File
				}
			}}
		}},
		"columns not settled": {"run settles columns", func(in s) s {
			return otherLaunch{in, func(r *account.Run, _ *task.IdempotencyKey) { r.State.Columns = nil }}
		}},
		"built-in tasks in any order":        {"built in", func(in s) s { return unorderedJobs{in} }},
		"built-in tasks past the limit":      {"built in", func(in s) s { return manyJobs{in} }},
		"work without the fence":             {"work fenced", func(in s) s { return unfenced{in} }},
		"failed work kept":                   {"work undone", func(in s) s { return stubbornWork{in} }},
		"report of work lost":                {"work reports", func(in s) s { return silentWork{in} }},
		"clashes not told":                   {"stage", func(in s) s { return otherWork{in, func(w account.Work) account.Work { return trusting{w} }} }},
		"what is only known taken for all":   {"stage", func(in s) s { return otherWork{in, func(w account.Work) account.Work { return knowing{w} }} }},
		"deletions not recorded":             {"record", func(in s) s { return otherWork{in, func(w account.Work) account.Work { return keeping{w} }} }},
		"kept records compared":              {"compare", func(in s) s { return otherWork{in, func(w account.Work) account.Work { return unkept{w} }} }},
		"keys of any case":                   {"compare", func(in s) s { return otherWork{in, func(w account.Work) account.Work { return folding{w} }} }},
		"unchanged records left out":         {"compare", func(in s) s { return optimizing{in} }},
		"what accounts hold compared in all": {"compare", func(in s) s { return unheld{in} }},
		"last of a range left out":           {"compare", func(in s) s { return hasty{in} }},
		"all differences at once":            {"compare a lot", func(in s) s { return unbounded{in} }},
		"all that is missing at once":        {"missing a lot", func(in s) s { return unbounded{in} }},
		"nothing swept":                      {"run ends", func(in s) s { return unswept{in} }},
		"upload of an ended run kept":        {"run ends", func(in s) s { return hoarding{in, map[task.ID][]byte{}} }},
		"swept in large batches":             {"sweep in batches", func(in s) s { return sweeping{in, 10, 0} }},
		"accounts of a deleted source kept":  {"sweep a source", func(in s) s { return unswept{in} }},
		"uploads abandoned too early":        {"abandoned uploads", func(in s) s { return sweeping{in, 1, time.Millisecond} }},
		"uploads abandoned never":            {"abandoned uploads", func(in s) s { return sweeping{in, 1, -1000 * time.Hour} }},
		"uploads read from chunks on":        {"uploads", func(in s) s { return wholeMegabytes{in} }},
		"dropped upload taken for its end":   {"upload dropped", func(in s) s { return endless{in} }},
	}
}

type otherRun struct {
	storetest.Store
	change func(*account.Run)
}

func (b otherRun) Run(ctx context.Context, id task.ID) (account.Run, error) {
	r, err := b.Store.Run(ctx, id)
	b.change(&r)
	return r, err
}

type (
	busyFunc  = func(t task.Task, other task.ID) task.Change
	entryFunc = func(t *task.Task) (audit.Entry, error)
)

// unauditedRun does not hear that there is no entry.
type unauditedRun struct{ storetest.Store }

func (b unauditedRun) CreateRun(
	ctx context.Context, r account.Run, c task.Change, busy busyFunc, key task.IdempotencyKey, entry entryFunc,
) (task.Task, bool, error) {
	return b.Store.CreateRun(ctx, r, c, busy, key, func(t *task.Task) (audit.Entry, error) {
		e, _ := entry(t)
		return e, nil
	})
}

// lenient goes without an upload that it does not find.
type lenient struct{ storetest.Store }

func (b lenient) CreateRun(
	ctx context.Context, r account.Run, c task.Change, busy busyFunc, key task.IdempotencyKey, entry entryFunc,
) (task.Task, bool, error) {
	t, created, err := b.Store.CreateRun(ctx, r, c, busy, key, entry)
	if task.KindOf(err) == task.NotFound {
		r.Upload = ""
		return b.Store.CreateRun(ctx, r, c, busy, key, entry)
	}
	return t, created, err
}

// crowded lets a task run whose source is busy.
type crowded struct{ storetest.Store }

func (b crowded) CreateRun(
	ctx context.Context, r account.Run, c task.Change, _ busyFunc, key task.IdempotencyKey, entry entryFunc,
) (task.Task, bool, error) {
	return b.Store.CreateRun(ctx, r, c, func(t task.Task, _ task.ID) task.Change { return task.Change{Task: t} }, key, entry)
}

type otherLaunch struct {
	storetest.Store
	change func(*account.Run, *task.IdempotencyKey)
}

func (b otherLaunch) CreateRun(
	ctx context.Context, r account.Run, c task.Change, busy busyFunc, key task.IdempotencyKey, entry entryFunc,
) (task.Task, bool, error) {
	b.change(&r, &key)
	return b.Store.CreateRun(ctx, r, c, busy, key, entry)
}

type unorderedJobs struct{ storetest.Store }

func (b unorderedJobs) BuiltIn(ctx context.Context, after int64, limit int) ([]task.Assigned, error) {
	found, err := b.Store.BuiltIn(ctx, after, limit)
	slices.Reverse(found)
	return found, err
}

type manyJobs struct{ storetest.Store }

func (b manyJobs) BuiltIn(ctx context.Context, after int64, limit int) ([]task.Assigned, error) {
	return b.Store.BuiltIn(ctx, after, limit+1)
}

type workFunc = func(account.Work) (task.Report, error)

// unfenced works as whatever attempt has the fence.
type unfenced struct{ storetest.Store }

func (b unfenced) Work(ctx context.Context, id task.ID, attempt int, now time.Time, fn workFunc) (task.Task, error) {
	t, err := b.Store.Work(ctx, id, attempt, now, fn)
	if e, ok := errors.AsType[*task.Error](err); ok && e.Refused == task.RefusedStale {
		return b.Store.Work(ctx, id, 3-attempt, now, fn)
	}
	return t, err
}

// stubbornWork keeps what was written before a failure.
type stubbornWork struct{ storetest.Store }

func (b stubbornWork) Work(ctx context.Context, id task.ID, attempt int, now time.Time, fn workFunc) (task.Task, error) {
	var failure error
	t, err := b.Store.Work(ctx, id, attempt, now, func(w account.Work) (r task.Report, _ error) {
		r, failure = fn(w)
		return r, nil
	})
	return t, errors.Join(failure, err)
}

// silentWork takes no report but a completion.
type silentWork struct{ storetest.Store }

func (b silentWork) Work(ctx context.Context, id task.ID, attempt int, now time.Time, fn workFunc) (task.Task, error) {
	return b.Store.Work(ctx, id, attempt, now, func(w account.Work) (task.Report, error) {
		r, err := fn(w)
		return task.Report{Completion: r.Completion}, err
	})
}

// otherWork puts something between a run and its transaction.
type otherWork struct {
	storetest.Store
	wrap func(account.Work) account.Work
}

func (b otherWork) Work(ctx context.Context, id task.ID, attempt int, now time.Time, fn workFunc) (task.Task, error) {
	return b.Store.Work(ctx, id, attempt, now, func(w account.Work) (task.Report, error) { return fn(b.wrap(w)) })
}

type stateless struct{ account.Work }

func (stateless) SetState(*account.State) error { return nil }

type trusting struct{ account.Work }

func (w trusting) Stage(records []account.Record) ([]int, error) {
	_, err := w.Work.Stage(records)
	return nil, err
}

// changing stages other records than it was given.
func changing(w account.Work, records []account.Record, change func(*account.Record)) ([]int, error) {
	changed := slices.Clone(records)
	for i := range changed {
		change(&changed[i])
	}
	return w.Stage(changed)
}

type knowing struct{ account.Work }

func (w knowing) Stage(records []account.Record) ([]int, error) {
	return changing(w.Work, records, func(r *account.Record) { r.Known = false })
}

type unkept struct{ account.Work }

func (w unkept) Stage(records []account.Record) ([]int, error) {
	return changing(w.Work, records, func(r *account.Record) { r.Keep = false })
}

type folding struct{ account.Work }

func (w folding) Stage(records []account.Record) ([]int, error) {
	return changing(w.Work, records, func(r *account.Record) { r.Key = strings.ToLower(r.Key) })
}

type keeping struct{ account.Work }

func (keeping) Delete([]account.Gone) error { return nil }

// optimizing never returns what is unchanged.
type optimizing struct{ storetest.Store }

func (b optimizing) Differing(ctx context.Context, r *account.Run, after string, limit int, _ bool) ([]account.Difference, string, error) {
	return b.Store.Differing(ctx, r, after, limit, false)
}

type unheld struct{ storetest.Store }

func (b unheld) Missing(ctx context.Context, r *account.Run, after string, limit int) ([]account.Gone, string, error) {
	other := *r
	other.State.Held = false
	return b.Store.Missing(ctx, &other, after, limit)
}

// hasty forgets the last of what it found.
type hasty struct{ storetest.Store }

func (b hasty) Missing(ctx context.Context, r *account.Run, after string, limit int) ([]account.Gone, string, error) {
	gone, last, err := b.Store.Missing(ctx, r, after, limit)
	if len(gone) > 0 && gone[len(gone)-1].Key == last {
		gone = gone[:len(gone)-1]
	}
	return gone, last, err
}

type unbounded struct{ storetest.Store }

func (b unbounded) Differing(
	ctx context.Context, r *account.Run, after string, limit int, all bool,
) (found []account.Difference, last string, err error) {
	for {
		part, next, err := b.Store.Differing(ctx, r, after, limit, all)
		if err != nil || next == "" {
			return found, last, err
		}
		found, last, after = append(found, part...), next, next
	}
}

func (b unbounded) Missing(
	ctx context.Context, r *account.Run, after string, limit int,
) (gone []account.Gone, last string, err error) {
	for {
		part, next, err := b.Store.Missing(ctx, r, after, limit)
		if err != nil || next == "" {
			return gone, last, err
		}
		gone, last, after = append(gone, part...), next, next
	}
}

type unswept struct{ storetest.Store }

func (unswept) Sweep(context.Context, time.Time, int) (bool, error) { return false, nil }

// sweeping sweeps more at once, or something else.
type sweeping struct {
	storetest.Store
	factor int
	later  time.Duration
}

func (b sweeping) Sweep(ctx context.Context, before time.Time, limit int) (bool, error) {
	return b.Store.Sweep(ctx, before.Add(b.later), limit*b.factor)
}

// hoarding keeps what it was given.
type hoarding struct {
	storetest.Store
	chunks map[task.ID][]byte
}

func (b hoarding) AppendUpload(ctx context.Context, id task.ID, start int64, data []byte, now time.Time) error {
	b.chunks[id] = append(b.chunks[id], data...)
	return b.Store.AppendUpload(ctx, id, start, data, now)
}

func (b hoarding) ReadUpload(_ context.Context, id task.ID, offset int64) ([]byte, error) {
	if offset >= int64(len(b.chunks[id])) {
		return nil, io.EOF
	}
	return b.chunks[id][offset:], nil
}

// wholeMegabytes reads from the beginning of a chunk.
type wholeMegabytes struct{ storetest.Store }

func (b wholeMegabytes) ReadUpload(ctx context.Context, id task.ID, offset int64) ([]byte, error) {
	return b.Store.ReadUpload(ctx, id, offset&^(1<<20-1))
}

// endless takes what is not there for the end.
type endless struct{ storetest.Store }

func (b endless) ReadUpload(ctx context.Context, id task.ID, offset int64) ([]byte, error) {
	data, err := b.Store.ReadUpload(ctx, id, offset)
	if task.KindOf(err) == task.NotFound {
		return nil, io.EOF
	}
	return data, err
}
