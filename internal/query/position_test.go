package query_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/query"
	"stint/internal/task"
)

func stintTable() *query.Table { return query.StintTasks(task.NewCatalog()) }

// TestCursor reads back what was given out, in the order for which it was.
func TestCursor(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 23, 40, 50, 123e6, time.UTC)
	for sorters, position := range map[string]query.Position{
		"":                  {Created: at, ID: someID},
		"created":           {Created: at, ID: someID},
		"-durationMs":       {Value: new("12345"), Created: at, ID: someID},
		"durationMs":        {Created: at, ID: someID}, // of those without
		"uniqueName":        {Value: new("a \"b\" é\u2028"), Created: at, ID: someID},
		"-type":             {Value: new("IDENTITY_REFRESH"), Created: at, ID: someID},
		"-completionStatus": {Created: time.UnixMilli(0).UTC(), ID: someID},
	} {
		page, err := stintTable().ParsePage("sorters=" + sorters)
		if err != nil {
			t.Fatal(err)
		}
		again, err := stintTable().ParsePage("sorters=" + sorters + "&limit=7&cursor=" + url.QueryEscape(position.Cursor(page.Sort[0])))
		if err != nil {
			t.Errorf("%s: %v", sorters, err)
			continue
		}
		if diff := cmp.Diff(&position, again.After); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sorters, diff)
		}
	}
}

func TestCursorError(t *testing.T) {
	t.Parallel()
	encoded := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	const none = " is not one that this list gave: take it from the header Link, or leave it out"
	good := `{"s":"-created","v":null,"c":1,"i":"` + someID + `"}`
	for cursor, want := range map[string]string{
		"x":                  `"x"` + none,
		encoded("null"):      none,
		encoded("{}"):        none,
		encoded(good + good): none,
		encoded(good) + "=":  none,
		encoded(`{"s":1}`):   none,
		encoded(strings.Replace(good, `"c":1`, `"c":-1`, 1)):        none,
		encoded(strings.Replace(good, `"c":1`, `"c":1e99`, 1)):      none,
		encoded(strings.Replace(good, someID, "5", 1)):              none,
		encoded(strings.Replace(good, "null", `"x"`, 1)):            none, // a time is a number
		encoded(strings.Replace(good, "null", `"\u0000"`, 1)):       none,
		encoded(strings.Replace(good, `"c"`, `"q":0,"c"`, 1)):       none,
		encoded(strings.Replace(good, "-created", "durationMs", 1)): `is of this list sorted on "durationMs", not on -created`,
		encoded(strings.Replace(good, "-created", "created", 1)):    `is of this list sorted on "created", not on -created`,
		encoded(good) + "&offset=1":                                 "",
		strings.Repeat("A", 9000):                                   none,
	} {
		_, err := stintTable().ParsePage("cursor=" + cursor)
		if want == "" {
			wantError(t, err, task.Content, "offset", "cannot be given together with cursor")
			continue
		}
		if task.KindOf(err) != task.IllegalValue || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %s", cursor, err, want)
		}
	}
	if page, err := tasksTable().ParsePage("cursor=x"); err != nil || page.After != nil {
		t.Errorf("the original's list takes no cursor, and ignores it: %+v, %v", page, err)
	}
}

// TestStintFilterMeaning shows by the canonical text how what the original does not have
// was understood.
func TestStintFilterMeaning(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		`uniqueName eq "A b"`:                       `uniqueName eq "A b"`,
		`target.name co HR and target.id ne s1`:     `target.name co "HR" and not target.id eq "s1"`,
		`pr target.id or description sw "x"`:        `not target.id isnull or description sw "x"`,
		`durationMs ge 0060000`:                     `durationMs ge "60000"`,
		`durationMs eq 5 and not durationMs isnull`: `durationMs eq "5" and not durationMs isnull`,
		`percentComplete lt "50"`:                   `percentComplete lt "50"`,
		`launched gt 1764027650123`:                 `launched gt "2025-11-24T23:40:50.123Z"`,
		`completed le "2026-11-24T23:40:50.1239Z"`:  `completed le "2026-11-24T23:40:50.123Z"`,
		`completed lt "2026-11-24T23:40:50.1239Z"`:  `completed le "2026-11-24T23:40:50.123Z"`,
	} {
		e, err := stintTable().ParseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := e.String(); got != want {
			t.Errorf("%s\n got %s\nwant %s", filter, got, want)
		}
	}
	for filter, want := range map[string]string{
		`durationMs gt -1`:                   `"-1" at position 15 is not a whole number from 0 to 9007199254740991`,
		`percentComplete eq 1.5`:             `is not a whole number`,
		`durationMs in (1)`:                  `the operator "in" at position 12 is not allowed on durationMs: gt, ge, lt, le, eq, ne, isnull, pr`,
		`created isnull`:                     `is not allowed on created`,
		`name eq x`:                          `write: uniqueName or target.name`,
		`completed gt "next week"`:           `is not a time`,
		`durationMs gt 99999999999999999999`: `is not a whole number`,
	} {
		if _, err := stintTable().ParseFilter(filter); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", filter, err, want)
		}
	}
}

func TestStintSorters(t *testing.T) {
	t.Parallel()
	page, err := stintTable().ParsePage("sorters=-type")
	if diff := cmp.Diff([]query.Sorter{{Field: query.FieldKind, Desc: true}}, page.Sort); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	_, err = stintTable().ParsePage("sorters=-completed,created")
	wantError(t, err, task.IllegalValue, "sorters", `"created" is one too many: this list is sorted on one field`)
}
