package storetest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stint/internal/query"
	"stint/internal/query/querytest"
	"stint/internal/task"
)

// Statistics is what a store does for those who sum tasks up.
type Statistics interface {
	// EachEnded calls fn for every task that has ended from one time on and before
	// another, that filter accepts, created after since; in no order.
	EachEnded(ctx context.Context, filter query.Expr, since, from, to time.Time, fn func(task.Brief) error) error
	// NewestOfPairs returns, for each kind and source that has tasks created after
	// since, up to newest of them; up to limit pairs, by kind and source, and whether
	// there are more.
	NewestOfPairs(ctx context.Context, since time.Time, newest, limit int) (pairs []task.Pair, more bool, err error)
	// Open returns how many tasks are queued, and running, of each kind.
	Open(ctx context.Context) ([]task.Open, error)
	// Faults returns how many reads and writes the database has failed.
	Faults() (reads, writes uint64)
}

func briefOf(t *task.Task) task.Brief {
	b := task.Brief{
		ID: t.ID, Kind: t.Kind, SourceID: t.SourceID, Status: t.Status, Created: t.Created, Launched: t.Launched, Completed: t.Completed,
		UniqueName: t.UniqueName, PercentComplete: t.PercentComplete,
	}
	if t.Target != nil {
		b.TargetName = t.Target.Name
	}
	return b
}

func byID(a, b task.Brief) int { return strings.Compare(string(a.ID), string(b.ID)) }

// testStatistics compares what is summed up of random tasks with what is worked out
// here.
func testStatistics(t trial) {
	s := t.store
	rapid.Check(t, func(rt *rapid.T) {
		empty(rt, s)
		tasks := querytest.Tasks(0, 25).Draw(rt, "tasks")
		sources := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "A", "ä", "b'", "Z"}), len(tasks), len(tasks)).Draw(rt, "sources")
		for i := range tasks {
			tasks[i].SourceID = sources[i]
			tasks[i].Kind = []task.Kind{tasks[i].Kind, "IDENTITY_REFRESH"}[i%2]
		}
		if _, err := s.Import(rt.Context(), seq(tasks), false, start(), importEntry); err != nil {
			rt.Fatalf("import: %v", err)
		}
		for range 3 {
			checkEnded(rt, s, tasks)
			checkPairs(rt, s, tasks)
		}
		checkOpen(rt, s, tasks)
	})
}

// testEndedStops has fn fail.
func testEndedStops(t trial) {
	s := t.store
	for n := range 3 {
		launch(t, s, n)
		update(t, s, idOf(n), func(tk task.Task) task.Change {
			c, err := tk.ApplyClear(task.Clear{Status: task.Failure}, start().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			return c
		})
	}
	n := 0
	err := s.EachEnded(t.Context(), nil, everything(), start(), start().AddDate(1, 0, 0), func(task.Brief) error {
		n++
		return task.Errorf(task.IllegalValue, "", "enough")
	})
	_ = wantKind(t, err, task.IllegalValue)
	if n != 1 {
		t.Errorf("%d tasks were told", n)
	}
}

// checkEnded compares what has ended with what query.Match says of each task.
func checkEnded(rt *rapid.T, s Store, tasks []task.Task) {
	rt.Helper()
	edges := []time.Time{time.UnixMilli(0).UTC(), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i := range tasks {
		if !tasks[i].Completed.IsZero() {
			edges = append(edges, tasks[i].Completed, tasks[i].Completed.Add(time.Millisecond))
		}
	}
	from, to := rapid.SampledFrom(edges).Draw(rt, "from"), rapid.SampledFrom(edges).Draw(rt, "to")
	filter := querytest.Expr(tasks...).Draw(rt, "filter")
	if rapid.Bool().Draw(rt, "all") {
		filter = nil
	}
	since := drawSince(rt, tasks)
	var want, got []task.Brief
	for i := range tasks {
		one := &tasks[i]
		if one.Status == task.InProgress || one.Completed.Before(from) || !one.Completed.Before(to) ||
			!since.IsZero() && !one.Created.After(since) || filter != nil && !query.Match(filter, query.TaskValues(one)) {
			continue
		}
		b := briefOf(one)
		b.UniqueName, b.TargetName, b.PercentComplete = "", "", 0
		want = append(want, b)
	}
	err := s.EachEnded(rt.Context(), filter, since, from, to, func(b task.Brief) error {
		got = append(got, b)
		return nil
	})
	slices.SortFunc(want, byID)
	slices.SortFunc(got, byID)
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		rt.Fatalf("ended from %v to %v, created after %v, %v: %v (-want +got):\n%s", from, to, since, filter, err, diff)
	}
}

// pairsOf works out the pairs that a store must have.
func pairsOf(tasks []task.Task, since time.Time, newest int) []task.Pair {
	type key struct {
		kind   task.Kind
		source string
	}
	of := map[key]*task.Pair{}
	for i := range tasks {
		one := &tasks[i]
		if !since.IsZero() && !one.Created.After(since) {
			continue
		}
		k := key{one.Kind, task.LowerASCII(one.SourceID)}
		if of[k] == nil {
			of[k] = &task.Pair{Kind: one.Kind}
		}
		if one.Status == task.InProgress {
			of[k].InProgress++
		}
		of[k].Newest = append(of[k].Newest, briefOf(one))
	}
	var pairs []task.Pair
	for _, p := range of {
		slices.SortFunc(p.Newest, func(a, b task.Brief) int { return -cmp.Or(a.Created.Compare(b.Created), byID(a, b)) })
		p.SourceID, p.Newest = p.Newest[0].SourceID, p.Newest[:min(newest, len(p.Newest))]
		pairs = append(pairs, *p)
	}
	slices.SortFunc(pairs, func(a, b task.Pair) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(task.LowerASCII(a.SourceID), task.LowerASCII(b.SourceID)))
	})
	return pairs
}

// checkPairs compares the newest tasks of each kind and source.
func checkPairs(rt *rapid.T, s Store, tasks []task.Task) {
	rt.Helper()
	since := drawSince(rt, tasks)
	newest, limit := rapid.IntRange(1, 4).Draw(rt, "newest"), rapid.IntRange(1, 20).Draw(rt, "limit")
	want := pairsOf(tasks, since, newest)
	got, more, err := s.NewestOfPairs(rt.Context(), since, newest, limit)
	if err != nil || more != (len(want) > limit) {
		rt.Fatalf("%d pairs of %d, more %v, %v", len(got), len(want), more, err)
	}
	if diff := gocmp.Diff(want[:min(limit, len(want))], got, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("the newest %d, created after %v (-want +got):\n%s", newest, since, diff)
	}
}

func checkOpen(rt *rapid.T, s Store, tasks []task.Task) {
	rt.Helper()
	type key struct {
		kind  task.Kind
		state task.State
	}
	want := map[key]task.Open{}
	for i := range tasks {
		k := key{tasks[i].Kind, tasks[i].State()}
		if k.state == task.Completed {
			continue
		}
		o, ok := want[k]
		if !ok || tasks[i].Created.Before(o.Oldest) {
			o.Oldest = tasks[i].Created
		}
		o.Kind, o.State, o.Tasks = k.kind, k.state, o.Tasks+1
		want[k] = o
	}
	open, err := s.Open(rt.Context())
	got := map[key]task.Open{}
	for _, o := range open {
		got[key{o.Kind, o.State}] = o
	}
	if diff := gocmp.Diff(want, got); err != nil || diff != "" {
		rt.Fatalf("in progress: %v (-want +got):\n%s", err, diff)
	}
	if reads, writes := s.Faults(); reads+writes > 0 {
		rt.Fatalf("%d faults of reads, %d of writes", reads, writes)
	}
}
