package postgres

import (
	"fmt"
	"strings"
	"testing"

	"stint/internal/query"
	"stint/internal/task"
)

// TestStatisticsPlans holds what statistics read against what they sum up.
func TestStatisticsPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	mustExec(t, s, "ALTER TABLE tasks SET (autovacuum_enabled = off)")
	const n = 10_000
	tasks := busy(n)
	pairs, inProgress := map[string]bool{}, 0
	for i := range tasks {
		pairs[fmt.Sprint(tasks[i].Kind, " ", tasks[i].SourceID)] = true
		if tasks[i].Status == task.InProgress {
			inProgress++
		}
	}
	load(t, s, tasks)
	from, to := tasks[n/2].Completed, tasks[n/2+200].Completed
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			analyze(t, s)
		}
		for _, filter := range []query.Expr{nil, query.Compare{Field: query.FieldKind, Values: []string{"RARE_KIND"}}} {
			seen := explainList(t, s, func(r reading) error {
				return eachEnded(r, filter, -1, from, to, func(task.Brief) error { return nil })
			})
			wantLookedAt(t, seen, 210, "tasks_completed")
		}
		seen := explainList(t, s, func(r reading) error {
			_, _, err := newestOfPairs(r, -1, 5, 100_000)
			return err
		})
		// The first and each next of the pairs, one to see whether it shows, five of each.
		wantLookedAt(t, seen[:2], 8*float64(len(pairs)), "tasks_pair")
		wantLookedAt(t, seen[2:], float64(inProgress), "tasks_in_progress")
	}
}

func wantLookedAt(t *testing.T, seen []explained, most float64, index string) {
	t.Helper()
	for _, one := range seen {
		used := false
		one.plan.each(func(n *node) {
			used = used || n.Table == "tasks" && strings.HasPrefix(n.Index, index)
			if n.Type == "Seq Scan" && n.Table == "tasks" {
				t.Error("all tasks are read")
			}
		})
		if got := one.plan.scanned("tasks"); got > most || !used {
			t.Errorf("it looks at %.0f tasks, at most %.0f would do", got, most)
		}
		if t.Failed() {
			t.Fatalf("%s\n%s", one.query, &one.plan)
		}
	}
}
