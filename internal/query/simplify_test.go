package query_test

import (
	"testing"

	"pgregory.net/rapid"

	"stint/internal/query"
	"stint/internal/query/querytest"
	"stint/internal/task"
)

func TestSimplify(t *testing.T) {
	t.Parallel()
	table := query.Tasks(task.NewCatalog())
	for filter, want := range map[string]string{
		`not not id eq "a"`: `id eq "a"`,
		`sourceId eq "a" or sourceId in ("b", "c") or launcher eq "d"`:      `sourceId in ("a", "b", "c") or launcher eq "d"`,
		`not (not sourceId eq "a" and not sourceId eq "b")`:                 `sourceId in ("a", "b")`,
		`not (sourceId eq "a" or completionStatus isnull)`:                  `not sourceId eq "a" and not completionStatus isnull`,
		`sourceId eq "a" and (launcher eq "b" and completionStatus isnull)`: `sourceId eq "a" and launcher eq "b" and completionStatus isnull`,
		`launcher in ("a", "b", "c") and launcher in ("C", "b", "d")`:       `launcher in ("b", "c")`,
		`not launcher eq "a" and not launcher in ("b", "A")`:                `not launcher in ("a", "b")`,
		`not launcher in ("a", "b") or not launcher in ("b", "c")`:          `not launcher eq "b"`,
		`completionStatus isnull or completionStatus isnull`:                `completionStatus isnull`,
		`(sourceId eq "a" or (launcher eq "b" or not not sourceId eq "c"))`: `sourceId in ("a", "c") or launcher eq "b"`,
	} {
		e, err := table.ParseFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := query.Simplify(e).String(); got != want {
			t.Errorf("%s: got %s, want %s", filter, got, want)
		}
	}
	if query.Simplify(nil) != nil {
		t.Error("nil does not stay nil")
	}
}

func TestSimplifyKeepsTheMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tasks := querytest.Tasks(1, 10).Draw(t, "tasks")
		e := querytest.Expr(tasks...).Draw(t, "expression")
		simple := query.Simplify(e)
		for i := range tasks {
			values := query.TaskValues(&tasks[i])
			if got, want := query.Match(simple, values), query.Match(e, values); got != want {
				t.Fatalf("%s is %t, simplified to %s it is %t", e, want, simple, got)
			}
		}
		if again := query.Simplify(simple); again.String() != simple.String() {
			t.Fatalf("%s can be simplified further, to %s", simple, again)
		}
	})
}
