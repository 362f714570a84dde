package query_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"stint/internal/query"
	"stint/internal/query/querytest"
	"stint/internal/task"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	queued := &task.Task{
		ID: someID, Type: task.QueuedTask, Kind: task.IdentityRefresh, Launcher: "Zoë O'Neil",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
	}
	ended := &task.Task{
		ID: "00000000000000000000000000000001", Type: task.QPOC, Kind: task.AccountAggregation, Launcher: "sweep",
		SourceID: `source-"abc"`, Status: task.Failure,
	}
	for name, test := range map[string]struct {
		filter        string
		queued, ended bool
	}{
		"none":                       {``, true, true},
		"id":                         {`id eq "9315DF38-7AD1-6C49-20C9-47A67932C2A4"`, true, false},
		"no id":                      {`id eq "9315df38"`, false, false},
		"in progress":                {`completionStatus isnull`, true, false},
		"not in progress":            {`not completionStatus isnull`, false, true},
		"status":                     {`completionStatus in (Success, Error)`, false, true},
		"not a status":               {`not completionStatus eq "SUCCESS"`, true, true},
		"not of a null source":       {`not sourceId in ("x", "y")`, true, true},
		"not of this source":         {`not sourceId eq "SOURCE-\"ABC\""`, true, false},
		"no source is no text":       {`sourceId eq ""`, false, false},
		"kind or body type":          {`type in ("QPOC", "IDENTITY_REFRESH")`, true, true},
		"neither kind nor type":      {`not type in ("QPOC", "IDENTITY_REFRESH")`, false, false},
		"ASCII case":                 {`launcher eq "zOë o'nEIL"`, true, false},
		"other case":                 {`launcher eq "ZOË O'NEIL"`, false, false},
		"a long s":                   {`launcher eq "ſweep"`, false, false},
		"a part":                     {`launcher eq "swee"`, false, false},
		"wild cards":                 {`launcher in ("swee%", "s_eep", "s*", "%")`, false, false},
		"and":                        {`type eq qpoc and launcher eq sweep`, false, true},
		"and, one false":             {`type eq qpoc and launcher eq x`, false, false},
		"or":                         {`type eq qpoc or completionStatus isnull`, true, true},
		"not of and with a null":     {`not (sourceId eq "x" and launcher eq sweep)`, true, true},
		"not not of a null":          {`not not sourceId eq "x"`, false, false},
		"not of or":                  {`not (type eq qpoc or launcher eq x)`, true, false},
		"and before or":              {`type eq qpoc or completionStatus isnull and launcher eq x`, false, true},
		"parentheses":                {`(type eq qpoc or completionStatus isnull) and launcher eq x`, false, false},
		"a status that is not there": {`completionStatus eq ERROR and completionStatus isnull`, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := tasksTable().ParseFilter(test.filter)
			if err != nil {
				t.Fatal(err)
			}
			if got := query.Match(e, query.TaskValues(queued)); got != test.queued {
				t.Errorf("the queued task: got %v", got)
			}
			if got := query.Match(e, query.TaskValues(ended)); got != test.ended {
				t.Errorf("the task that ended: got %v", got)
			}
		})
	}
}

func TestTaskValues(t *testing.T) {
	t.Parallel()
	values := query.TaskValues(&task.Task{Created: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)})
	if got, ok := values(query.FieldCreated); got != "2026-01-02T03:04:05.006Z" || !ok {
		t.Errorf("created: got %q, %v", got, ok)
	}
	if got, ok := values("no such field"); got != "" || ok {
		t.Errorf("a field that is not there: got %q, %v", got, ok)
	}
}

// TestTextOfTrees has trees that no filter makes: their text is for people.
func TestTextOfTrees(t *testing.T) {
	t.Parallel()
	a := query.Compare{Field: query.FieldLauncher, Values: []string{"a"}}
	for want, e := range map[string]query.Expr{
		`launcher eq "a"`:                    query.And{Terms: []query.Expr{query.Or{Terms: []query.Expr{a}}}},
		`not (launcher eq "a" and id in ())`: query.Not{Term: query.And{Terms: []query.Expr{a, query.Compare{Field: query.FieldID}}}},
		`() or ()`:                           query.Or{Terms: []query.Expr{query.And{}, query.Or{}}},
		`sourceId isnull`:                    query.Null{Field: query.FieldSource},
	} {
		if got := e.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTextParsesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := querytest.Expr(querytest.Tasks(0, 4).Draw(t, "tasks")...).Draw(t, "filter")
		got, err := query.StintTasks(task.NewCatalog()).ParseFilter(want.String())
		if len(want.String()) > query.MaxFilterBytes {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n(-want +got):\n%s", want, diff)
		}
	})
}

func TestMatchIsTwoValued(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tasks := querytest.Tasks(1, 6).Draw(t, "tasks")
		a := querytest.Expr(tasks...).Draw(t, "a")
		b := querytest.Expr(tasks...).Draw(t, "b")
		and, or := query.And{Terms: []query.Expr{a, b}}, query.Or{Terms: []query.Expr{a, b}}
		notA, notB := query.Not{Term: a}, query.Not{Term: b}
		for i := range tasks {
			match := func(e query.Expr) bool { return query.Match(e, query.TaskValues(&tasks[i])) }
			same := func(law string, x, y bool) {
				if x != y {
					t.Fatalf("%s does not hold for %+v\na: %s\nb: %s", law, tasks[i], a, b)
				}
			}
			same("not a is the complement of a", match(notA), !match(a))
			same("not not a is a", match(query.Not{Term: notA}), match(a))
			same("De Morgan of and", match(query.Not{Term: and}), match(query.Or{Terms: []query.Expr{notA, notB}}))
			same("De Morgan of or", match(query.Not{Term: or}), match(query.And{Terms: []query.Expr{notA, notB}}))
			same("and", match(and), match(a) && match(b))
			same("or", match(or), match(a) || match(b))
			same("no filter", match(nil), true)
		}
	})
}

// TestTextMatchesTheSame holds the parser and the text against evaluation, where
// the trees differ.
func TestTextMatchesTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tasks := querytest.Tasks(1, 6).Draw(t, "tasks")
		e := querytest.Expr(tasks...).Draw(t, "filter")
		again, err := query.StintTasks(task.NewCatalog()).ParseFilter("not(not(" + e.String() + "))")
		if err != nil {
			t.Skip("too long")
		}
		for i := range tasks {
			if v := query.TaskValues(&tasks[i]); query.Match(e, v) != query.Match(again, v) {
				t.Fatalf("%s\n%s\ndiffer for %+v", e, again, tasks[i])
			}
		}
	})
}
