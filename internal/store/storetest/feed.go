package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/query"
	"stint/internal/task"
)

// Feeds is what a store does for those who follow its tasks.
type Feeds interface {
	// Position returns where the feed ends now.
	Position(ctx context.Context) (task.Position, error)
	// Changes returns up to limit of the tasks that have changed since a position, as
	// they are now and in the order of their last changes: those that filter accepts,
	// created after since.
	Changes(ctx context.Context, filter query.Expr, after task.Position, since time.Time, limit int) (task.Changes, error)
	// OnChange has fn called behind each write of a task, before the first one.
	OnChange(fn func([]task.Step))
}

func position(tb testing.TB, s Store) task.Position {
	tb.Helper()
	at, err := s.Position(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return at
}

// changed reads the feed to its end, limit tasks at a time, and returns the ids with
// the position behind them. No row may come without its TaskStatus.
func changed(tb testing.TB, s Store, filter query.Expr, after task.Position, since time.Time, limit int) ([]task.Changed, task.Position) {
	tb.Helper()
	var all []task.Changed
	for {
		c, err := s.Changes(tb.Context(), filter, after, since, limit)
		if err != nil || c.Lost || len(c.Tasks) > limit {
			tb.Fatalf("changes: %d tasks, lost %v, %v", len(c.Tasks), c.Lost, err)
		}
		for _, one := range c.Tasks {
			if len(one.Wire) == 0 || one.ID != one.At.ID {
				tb.Fatalf("%s at %+v has the TaskStatus %q", one.ID, one.At, one.Wire)
			}
		}
		all, after = append(all, c.Tasks...), c.Next
		if !c.More && !c.Held {
			return all, after
		}
	}
}

// wantChanged fails unless the feed has these tasks, as they are stored, behind a
// position. It returns the position behind them.
func wantChanged(tb testing.TB, s Store, after task.Position, want ...task.ID) task.Position {
	tb.Helper()
	got, next := changed(tb, s, nil, after, everything(), 3)
	ids := make([]task.ID, len(got))
	for i, c := range got {
		ids[i] = c.ID
		if diff := cmp.Diff(show(get(tb, s, c.ID)), show(c.Row)); diff != "" {
			tb.Errorf("task %s in the feed (-want +got):\n%s", c.ID, diff)
		}
	}
	if !slices.Equal(ids, want) {
		tb.Fatalf("the feed has %v, want %v", ids, want)
	}
	return next
}

func progress(tb testing.TB, s Store, n int, text string) {
	tb.Helper()
	update(tb, s, idOf(n), func(tk task.Task) task.Change {
		return tk.ApplyReport(task.Report{Attempt: 1, Sequence: tk.Sequence + 1, Progress: &text}, start().Add(time.Minute))
	})
}

func testFeed(t trial) {
	s := t.store
	var told atomic.Int64
	var mu sync.Mutex
	var steps []task.Step
	s.OnChange(func(some []task.Step) {
		told.Add(1)
		mu.Lock()
		defer mu.Unlock()
		steps = append(steps, some...)
	})
	begin := position(t, s)
	if at, ok := task.ParsePosition(begin.String()); !ok || at != begin {
		t.Fatalf("%+v is written %s, which is %+v", begin, begin, at)
	}
	for _, n := range []int{3, 1, 2} {
		launch(t, s, n)
	}
	if told.Load() != 3 {
		t.Errorf("%d changes were told, want 3", told.Load())
	}
	end := wantChanged(t, s, begin, idOf(3), idOf(1), idOf(2))
	wantChanged(t, s, end)
	if now := position(t, s); now != end {
		t.Errorf("the feed was read up to %+v and ends at %+v", end, now)
	}
	// A task stands where it has changed last, and nowhere else.
	progress(t, s, 1, "half")
	progress(t, s, 3, "a third")
	progress(t, s, 1, "more")
	wantChanged(t, s, end, idOf(3), idOf(1))
	wantChanged(t, s, begin, idOf(2), idOf(3), idOf(1))
	rows, _ := changed(t, s, nil, begin, everything(), 9)
	wantChanged(t, s, rows[0].At, idOf(3), idOf(1))
	wantChanged(t, s, rows[1].At, idOf(1))

	// What changes nothing moves nothing.
	before := told.Load()
	read(t, s, idOf(2))
	if wantChanged(t, s, begin, idOf(2), idOf(3), idOf(1)); told.Load() != before {
		t.Error("a change was told where there was none")
	}

	one := query.Compare{Field: query.FieldID, Values: []string{string(idOf(3))}}
	if got, _ := changed(t, s, one, begin, everything(), 1); len(got) != 1 || got[0].ID != idOf(3) {
		t.Errorf("of one task the feed has %v", got)
	}
	if got, _ := changed(t, s, query.Not{Term: one}, begin, everything(), 1); len(got) != 2 {
		t.Errorf("of the others the feed has %v", got)
	}
	visible := start().Add(2 * time.Millisecond)
	if got, _ := changed(t, s, nil, begin, visible, 5); len(got) != 1 || got[0].ID != idOf(3) {
		t.Errorf("of what was created after %v the feed has %v", visible, got)
	}

	// The number of what is deleted is not given again.
	last := position(t, s)
	if n, err := s.Purge(t.Context(), start().Add(time.Hour), 9, change(func(tk task.Task) task.Change { return task.Change{Task: tk} })); err != nil || n != 3 {
		t.Fatalf("purged %d, %v", n, err)
	}
	wantChanged(t, s, begin)
	launch(t, s, 0)
	wantChanged(t, s, last, idOf(0))

	last = position(t, s)
	imported := []task.Task{launched(t, 7).Task, launched(t, 5).Task}
	load(t, s, imported)
	imported[0].Description = "another"
	last = wantChanged(t, s, last, idOf(5), idOf(7))
	if _, err := s.Import(t.Context(), seq(imported), true, start(), importEntry); err != nil {
		t.Fatal(err)
	}
	wantChanged(t, s, last, idOf(7))
	// Four were launched, and none has ended; what was imported is not told of.
	launch(t, s, 8)
	update(t, s, idOf(8), func(tk task.Task) task.Change {
		return tk.ApplyReport(task.Report{Attempt: 1, Completion: task.Failure}, start().Add(time.Minute))
	})
	mu.Lock()
	defer mu.Unlock()
	kind := task.Kind("IDENTITY_REFRESH")
	want := []task.Step{{Kind: kind}, {Kind: kind}, {Kind: kind}, {Kind: kind}, {Kind: kind}, {Kind: kind, Status: task.Failure}}
	if !slices.Equal(steps, want) {
		t.Errorf("the steps are %v, want %v", steps, want)
	}
}

// testFeedOfLargeRows has tasks of which not all can be held at once.
func testFeedOfLargeRows(t trial) {
	s := t.store
	begin := position(t, s)
	var want []task.ID
	for n := range 5 {
		c := launched(t, n)
		c.Task.Description = strings.Repeat("ü", 300_000)
		want = append(want, create(t, s, c).ID)
	}
	c, err := s.Changes(t.Context(), nil, begin, everything(), 100)
	if err != nil || len(c.Tasks) == 0 || len(c.Tasks) > 3 || !c.More {
		t.Errorf("%d large tasks at once, more %v, %v", len(c.Tasks), c.More, err)
	}
	wantChanged(t, s, begin, want...)
}

// testFeedOfManyAtOnce has very many tasks in one transaction, of which a filter
// accepts few.
func testFeedOfManyAtOnce(t trial) {
	s := t.store
	const many = 4500
	begin := position(t, s)
	tasks := make([]task.Task, many)
	for i := range tasks {
		tasks[i] = emptyTask()
		tasks[i].ID, tasks[i].SourceID = idOf(i), fmt.Sprint("s", i%1000)
	}
	load(t, s, tasks)
	filter := query.Compare{Field: query.FieldSource, Values: []string{"S999"}}
	got, end := changed(t, s, filter, begin, everything(), 10)
	if len(got) != many/1000 {
		t.Errorf("%d of the tasks, want %d", len(got), many/1000)
	}
	if at := position(t, s); at != end {
		t.Errorf("the feed was read up to %+v and ends at %+v", end, at)
	}
	if all, _ := changed(t, s, nil, begin, everything(), 1000); len(all) != many || all[many-1].ID != idOf(many-1) {
		t.Errorf("%d tasks, want %d", len(all), many)
	}
}

// testFeedOfManyWriters follows the feed while many write, as one who breaks off
// wherever it may be and goes on behind the last task that he has seen.
func testFeedOfManyWriters(t trial) {
	s := t.store
	begin := position(t, s)
	var writing sync.WaitGroup
	done := make(chan struct{})
	const tasks = 8
	for n := range tasks {
		launch(t, s, n)
	}
	for w := range 6 {
		writing.Go(func() {
			for r := range 25 {
				progress(t, s, (w*7+r*3)%tasks, fmt.Sprint(w, " ", r))
			}
		})
	}
	go func() {
		writing.Wait()
		close(done)
	}()
	seen := map[task.ID]string{}
	at, last := begin, false
	for {
		select {
		case <-done:
			last = true
		default:
		}
		c, err := s.Changes(t.Context(), nil, at, everything(), 1+rand.IntN(4))
		if err != nil || c.Lost {
			t.Fatalf("changes: %+v, %v", c, err)
		}
		for _, one := range c.Tasks {
			seen[one.ID] = string(one.Wire)
			at = one.At
		}
		if len(c.Tasks) == 0 || rand.IntN(2) == 0 {
			at = c.Next
		}
		if last && len(c.Tasks) == 0 && !c.More && !c.Held {
			break
		}
	}
	for n := range tasks {
		if row := get(t, s, idOf(n)); seen[row.ID] != string(row.Wire) {
			t.Errorf("task %d was last seen as %.300s; it is %.300s", n, seen[row.ID], row.Wire)
		}
	}
}

func testFeedOfAnotherStore(t trial) {
	s, other := t.store, t.another()
	launch(t, s, 1)
	now := position(t, s)
	ahead, foreign := now, position(t, other)
	ahead.Changed += 1 << 40
	for _, at := range []task.Position{ahead, foreign, {}} {
		c, err := s.Changes(t.Context(), nil, at, everything(), 9)
		if err != nil || !c.Lost || len(c.Tasks) > 0 || c.Next != now {
			t.Errorf("behind %+v: %+v, %v; want that nobody knows", at, c, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Changes(t.Context(), nil, now, everything(), 9); err == nil {
		t.Error("a closed store tells what has changed")
	}
	if _, err := s.Position(t.Context()); err == nil {
		t.Error("a closed store tells where the feed ends")
	}
}
