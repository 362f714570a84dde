package storetest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/query"
	"stint/internal/task"
)

// crowd returns n tasks over a few weeks, many of them created in the same
// millisecond, with ids in no order. The same seed gives the same tasks.
func crowd(n int, seed uint64) []task.Task {
	random := rand.New(rand.NewPCG(seed, 0))
	kinds := task.NewCatalog().Definitions()
	launchers := []string{"System", "sweep", "SYSTEM", "zoë", "ZOË", "o'neil"}
	tasks := make([]task.Task, n)
	at := start()
	for i := range tasks {
		switch random.IntN(10) {
		case 0:
			at = at.Add(time.Duration(random.IntN(48)) * time.Hour)
		case 1, 2:
			at = at.Add(time.Duration(random.IntN(20000)) * time.Millisecond)
		case 3:
			at = at.Add(time.Millisecond)
		}
		t := &tasks[i]
		*t = task.Task{
			ID: task.ID(fmt.Sprintf("%016x%016x", random.Uint64(), i)), Type: task.Types()[random.IntN(3)],
			Kind: kinds[min(random.IntN(len(kinds)), random.IntN(len(kinds)))].Kind, UniqueName: "task " + strconv.Itoa(i),
			Launcher: launchers[random.IntN(len(launchers))], Created: at, Modified: at, Attempt: 1,
		}
		if random.IntN(3) > 0 {
			t.SourceID = "Source-" + strconv.Itoa(random.IntN(30))
		}
		if random.IntN(4) > 0 {
			t.Status = task.CompletionStatuses()[random.IntN(5)]
			t.Completed = at.Add(time.Second)
			t.Modified = t.Completed
			if i%5 > 0 {
				t.Launched = at.Add(time.Duration(i*i%9*50) * time.Millisecond)
			}
		}
		if i%2 == 0 {
			t.Target = &task.Target{ID: "T" + strconv.Itoa(i%40), Name: []string{"HR", "hr", "é", ""}[i/2%4]}
		}
		if i%3 == 0 {
			t.Description, t.PercentComplete = "Reads "+strconv.Itoa(i), i%101
		}
	}
	random.Shuffle(n, func(i, j int) { tasks[i], tasks[j] = tasks[j], tasks[i] })
	return tasks
}

// testPaging joins pages of all sizes: together they are the list, each task
// once, in both directions.
func testPaging(t trial) {
	s := t.store
	tasks := crowd(150, 1)
	for i := range tasks {
		if i%3 > 0 { // most share a creation time with others
			tasks[i].Created = tasks[i/10*10].Created
			tasks[i].Modified = tasks[i].Created.Add(time.Second)
		}
	}
	load(t, s, tasks)
	filters := []query.Expr{
		nil,
		query.Null{Field: query.FieldStatus},
		query.Not{Term: query.Null{Field: query.FieldStatus}},
		query.Compare{Field: query.FieldStatus, Values: []string{"SUCCESS", "ERROR"}},
		query.Or{Terms: []query.Expr{
			query.Compare{Field: query.FieldLauncher, Values: []string{"system"}},
			query.Compare{Field: query.FieldStatus, Values: []string{"ERROR"}},
		}},
	}
	for _, filter := range filters {
		for _, order := range [][]query.Sorter{newestFirst(), oldestFirst()} {
			want := expected(tasks, filter, everything(), order[0].Desc)
			for _, limit := range []int{1, 7, 50, 149, 250} {
				var joined []task.ID
				for offset := 0; offset <= len(want); offset += limit {
					rows, _, err := s.List(t.Context(), query.Page{Limit: limit, Offset: offset, Filter: filter, Sort: order}, everything())
					if err != nil {
						t.Fatal(err)
					}
					joined = append(joined, idsOf(t, rows)...)
				}
				if diff := cmp.Diff(want, joined); diff != "" {
					t.Fatalf("pages of %d of %v, %v (-want +got):\n%s", limit, filter, order, diff)
				}
			}
		}
	}
}

// shapes are filters of every sort that a store may plan in a way of its own.
func shapes() []query.Expr {
	c := func(f query.Field, values ...string) query.Expr { return query.Compare{Field: f, Values: values} }
	inProgress := query.Null{Field: query.FieldStatus}
	var many []string
	for i := range 25 {
		many = append(many, "SOURCE-"+strconv.Itoa(i))
	}
	return []query.Expr{
		nil,
		inProgress,
		c(query.FieldStatus, "SUCCESS"),
		c(query.FieldStatus, "SUCCESS", "ERROR", "TEMPERROR"),
		c(query.FieldKind, "CLOUD_ACCOUNT_AGGREGATION"),
		c(query.FieldKind, "CLOUD_ACCOUNT_AGGREGATION", "CLOUD_GROUP_AGGREGATION", "CLOUD_ACCOUNT_AGGREGATION"),
		c(query.FieldType, "QPOC"),
		c(query.FieldType, "QPOC", "QUARTZ"),
		c(query.FieldSource, "sOURCE-7"),
		c(query.FieldSource, "source-7", "Source-8", "SOURCE-7", "nowhere"),
		c(query.FieldSource, many...),
		c(query.FieldSource, ""),
		c(query.FieldSource),
		c(query.FieldLauncher, "system"),
		c(query.FieldLauncher, "zoë", "O'NEIL"),
		c(query.FieldLauncher, "nobody"),
		c(query.FieldID, "no id", string(idOf(1))),
		query.And{Terms: []query.Expr{inProgress, c(query.FieldKind, "CLOUD_ACCOUNT_AGGREGATION")}},
		query.And{Terms: []query.Expr{c(query.FieldKind, "CLOUD_ACCOUNT_AGGREGATION", "IDENTITY_REFRESH"), inProgress}},
		query.And{Terms: []query.Expr{inProgress, c(query.FieldKind, "CLOUD_ACCOUNT_AGGREGATION"), c(query.FieldLauncher, "system")}},
		query.And{Terms: []query.Expr{c(query.FieldKind, "CLOUD_REFRESH_ROLE"), inProgress, c(query.FieldKind, "CLOUD_ACCOUNT_AGGREGATION")}},
		query.And{Terms: []query.Expr{c(query.FieldSource, "source-1"), c(query.FieldStatus, "SUCCESS")}},
		query.And{Terms: []query.Expr{inProgress, query.Not{Term: inProgress}}},
		query.Or{Terms: []query.Expr{inProgress, c(query.FieldStatus, "WARNING")}},
		query.Or{Terms: []query.Expr{c(query.FieldSource, "source-1"), c(query.FieldLauncher, "sweep"), c(query.FieldSource, "source-1")}},
		query.Or{Terms: []query.Expr{c(query.FieldSource, many...), c(query.FieldSource, "source-29")}},
		query.Or{Terms: []query.Expr{
			query.And{Terms: []query.Expr{inProgress, c(query.FieldKind, "CLOUD_ACCOUNT_AGGREGATION")}}, c(query.FieldSource, "source-2"),
		}},
		query.Not{Term: inProgress},
		query.Not{Term: c(query.FieldSource, "source-7")},
		query.Not{Term: query.Not{Term: c(query.FieldSource, "source-7")}},
		query.Not{Term: query.And{Terms: []query.Expr{c(query.FieldSource, "source-7"), c(query.FieldStatus, "SUCCESS")}}},
		query.Not{Term: c(query.FieldID)},
	}
}

// moments are visibilities that cut the crowd in different places.
func moments(tasks []task.Task) []time.Time {
	ids := expected(tasks, nil, everything(), false)
	created := map[task.ID]time.Time{}
	for i := range tasks {
		created[tasks[i].ID] = tasks[i].Created
	}
	first, middle, last := created[ids[0]], created[ids[len(ids)/2]], created[ids[len(ids)-1]]
	return []time.Time{
		everything(), time.UnixMilli(-5), first.Add(-time.Millisecond), first, middle.Add(-time.Millisecond), middle,
		middle.Add(time.Hour), last.Add(-time.Millisecond), last, last.Add(time.Hour),
	}
}

// orders are all that tasks can be sorted on but their creation, in both directions.
func orders() []query.Sorter {
	var all []query.Sorter
	for _, f := range []query.Field{
		query.FieldCompleted, query.FieldDuration, query.FieldUniqueName, query.FieldTargetName, query.FieldLauncher, query.FieldKind,
		query.FieldStatus,
	} {
		all = append(all, query.Sorter{Field: f}, query.Sorter{Field: f, Desc: true})
	}
	return all
}

// testSorts joins pages of every order, each from where the one before it ended: sorted
// from what the filter selects, and found along the order's own index.
func testSorts(t trial) {
	s := t.store
	tasks := crowd(1500, 4)
	load(t, s, tasks)
	first := moments(tasks)[5]
	for _, filter := range []query.Expr{
		nil, query.Not{Term: query.Compare{Field: query.FieldLauncher, Values: []string{"system"}}}, // walks
		query.Compare{Field: query.FieldStatus, Values: []string{"SUCCESS", "ERROR", "WARNING", "TERMINATED", "TEMPERROR"}}, // most
		query.Compare{Field: query.FieldSource, Values: []string{"source-3", "source-4"}},                                   // few
		query.Compare{Field: query.FieldTargetName, Values: []string{"hR"}},
	} {
		for _, by := range append(orders(), newestFirst()[0], oldestFirst()[0]) {
			want := sorted(tasks, filter, first, by)
			page := query.Page{Limit: 83, Filter: filter, Sort: []query.Sorter{by}}
			var joined []task.ID
			for {
				rows, _, err := s.List(t.Context(), page, first)
				if err != nil {
					t.Fatal(err)
				}
				joined = append(joined, idsOf(t, rows)...)
				if len(rows) < page.Limit || len(joined) > len(want) {
					break
				}
				last := rows[len(rows)-1]
				page.After = &query.Position{Value: last.SortKey, Created: last.Created, ID: last.ID}
			}
			if diff := cmp.Diff(want, joined); diff != "" {
				t.Fatalf("pages of %v by %v (-want +got):\n%s", filter, by, diff)
			}
			for _, offset := range []int{len(want) / 2, max(0, len(want)-3), len(want)} {
				if wrong := checkPage(t, s, tasks, query.Page{Limit: 9, Offset: offset, Filter: filter, Sort: page.Sort}, first); wrong != "" {
					t.Fatal(wrong)
				}
			}
		}
	}
}

// testOffsets goes to places far inside long lists, near their ends and past
// them.
func testOffsets(t trial) {
	s := t.store
	tasks := crowd(400, 2)
	load(t, s, tasks)
	for _, filter := range shapes() {
		for _, since := range []time.Time{everything(), moments(tasks)[5]} {
			for _, order := range [][]query.Sorter{newestFirst(), oldestFirst()} {
				n := len(expected(tasks, filter, since, false))
				for _, offset := range []int{1, n / 2, n - 11, n - 1, n, query.MaxOffset} {
					page := query.Page{Limit: 10, Offset: max(0, offset), Filter: filter, Sort: order}
					if wrong := checkPage(t, s, tasks, page, since); wrong != "" {
						t.Fatal(wrong)
					}
				}
			}
		}
	}
}

// testCounts counts every shape from every moment on, with and without rows.
func testCounts(t trial) {
	s := t.store
	tasks := crowd(500, 3)
	load(t, s, tasks)
	for _, filter := range shapes() {
		for _, since := range moments(tasks) {
			for _, page := range []query.Page{{Limit: 0, Offset: 7}, {Limit: 3}} {
				page.Count, page.Filter, page.Sort = true, filter, newestFirst()
				if wrong := checkPage(t, s, tasks, page, since); wrong != "" {
					t.Fatal(wrong)
				}
			}
		}
	}
}
