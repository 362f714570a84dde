package storetest

import (
	"fmt"
	"time"

	"stint/internal/query"
	"stint/internal/task"
)

// testVisibility looks at tasks a millisecond to each side of the edge: a task
// created at that very moment is not shown any more.
func testVisibility(t trial) {
	s := t.store
	edge := start()
	for _, at := range []time.Time{edge, time.UnixMilli(edge.UnixMilli() >> 19 << 19).UTC(), time.UnixMilli(0).UTC()} {
		for i := range 3 {
			tk := emptyTask()
			tk.Created = at.Add(time.Duration(i-1) * time.Millisecond)
			if tk.Created.UnixMilli() < 0 {
				continue
			}
			tk.ID = task.ID(fmt.Sprintf("%032x", tk.Created.UnixMilli()))
			tk.Modified, tk.SourceID = tk.Created, "s"
			create(t, s, task.Change{Task: tk, Changed: true})
			visible := 0
			for _, since := range []time.Time{tk.Created.Add(-time.Millisecond), tk.Created, tk.Created.Add(time.Millisecond)} {
				_, err := s.Get(t.Context(), tk.ID, since)
				if err == nil {
					visible++
				}
				if shown := since.Before(tk.Created); shown != (err == nil) || !shown && task.KindOf(err) != task.NotFound {
					t.Errorf("created %v, visible after %v: %v", tk.Created, since, err)
				}
				filter := query.Compare{Field: query.FieldID, Values: []string{string(tk.ID)}}
				rows, total, err := s.List(t.Context(), query.Page{Limit: 5, Count: true, Filter: filter, Sort: newestFirst()}, since)
				if err != nil || len(rows) != int(total) || (total == 1) != since.Before(tk.Created) {
					t.Errorf("created %v, visible after %v: %d rows, count %d, %v", tk.Created, since, len(rows), total, err)
				}
			}
			if visible != 1 {
				t.Errorf("created %v: seen from %d of 3 moments", tk.Created, visible)
			}
		}
	}
	for _, filter := range []query.Expr{nil, query.Compare{Field: query.FieldSource, Values: []string{"S"}}} {
		for i, want := range []int64{3, 2, 1} { // three of the tasks lie around edge
			since := edge.Add(time.Duration(i-2) * time.Millisecond)
			rows, total, err := s.List(t.Context(), query.Page{Limit: 9, Count: true, Filter: filter, Sort: oldestFirst()}, since)
			if err != nil || total != want || len(rows) != int(want) {
				t.Errorf("%v after %v: %d rows, count %d, %v; want %d", filter, since, len(rows), total, err, want)
			}
		}
	}
}
