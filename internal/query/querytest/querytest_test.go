package querytest_test

import (
	"testing"

	"pgregory.net/rapid"

	"stint/internal/query"
	"stint/internal/query/querytest"
)

func TestTasksAreValid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one := querytest.Task().Draw(t, "task")
		if err := one.Validate(); err != nil {
			t.Fatalf("%v: %+v", err, one)
		}
	})
}

// TestFiltersSelect shows that filters are worth having: each sort of answer
// (all, some, none of the tasks) comes up.
func TestFiltersSelect(t *testing.T) {
	t.Parallel()
	all, some, none := 0, 0, 0
	for seed := range 200 {
		tasks := querytest.Tasks(8, 8).Example(seed)
		e := querytest.Expr(tasks...).Example(seed)
		n := 0
		for i := range tasks {
			if query.Match(e, query.TaskValues(&tasks[i])) {
				n++
			}
		}
		switch n {
		case 0:
			none++
		case len(tasks):
			all++
		default:
			some++
		}
	}
	if all < 10 || some < 50 || none < 10 {
		t.Errorf("all %d, some %d, none %d of 200", all, some, none)
	}
}
