package query_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/query/querytest"
	"stint/internal/task"
)

func TestAuditPage(t *testing.T) {
	t.Parallel()
	page, err := query.Audit().ParsePage(`filters=action+in+(task.clear,"TASK.CANCEL")+and+created+ge+2026-11-24`)
	if err == nil {
		t.Fatalf("a date without a time passes: %v", page)
	}
	page, err = query.Audit().ParsePage(`filters=action+in+(task.clear,"TASK.CANCEL")+and+created+ge+2026-11-24T00:00:00%2B01:00`)
	if err != nil {
		t.Fatal(err)
	}
	want := query.Page{
		Limit: 250, Sort: []query.Sorter{{Field: query.FieldCreated, Desc: true}},
		Filter: query.And{Terms: []query.Expr{
			query.Compare{Field: query.FieldAction, Values: []string{"task.clear", "task.cancel"}},
			query.Range{Field: query.FieldCreated, Order: query.NotLess, Value: "2026-11-23T23:00:00.000Z"},
		}},
	}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
}

func TestAuditRefuses(t *testing.T) {
	t.Parallel()
	for rawQuery, says := range map[string]string{
		"filters=action+eq+task.clearr":                                "task.launch, task.cancel, task.clear",
		"filters=created+eq+1":                                         "gt, ge, lt, le",
		"filters=created+gt+yesterday":                                 "RFC 3339",
		"filters=created+gt+%222026-11-24T00:00:00+01:00%22":           "%2B",
		"filters=created+gt+253402300800000":                           "not a time",
		"filters=created+gt+null":                                      "is not a value",
		"filters=created+gt+(1)":                                       "one value",
		"filters=user+eq+x":                                            "write: actor",
		"filters=taskId+eq+x":                                          "write: object",
		"filters=actor+gt+x":                                           "eq, in",
		"filters=reason+eq+x":                                          "id, created, action, actor, client, object, requestId",
		"sorters=action":                                               "created or -created",
		"filters=created+gt+1+and+created+GT+1":                        "lower case",
		"filters=created+gt":                                           "the end",
		"filters=created+ge+1+and+action+eq+" + "task.clear&limit=251": "limit",
	} {
		_, err := query.Audit().ParsePage(rawQuery)
		if e, ok := errors.AsType[*task.Error](err); !ok || !strings.Contains(e.Text(), says) {
			t.Errorf("%s: %v, want one that says %q", rawQuery, err, says)
		}
	}
}

// TestTimesAreReadAsWritten holds that a part of a millisecond counts, although
// what is compared has none.
func TestTimesAreReadAsWritten(t *testing.T) {
	t.Parallel()
	at := func(ms int64) *audit.Recorded {
		return &audit.Recorded{Entry: audit.Entry{At: time.UnixMilli(ms).UTC()}}
	}
	base := time.Date(2026, 11, 24, 23, 40, 50, 123e6, time.UTC).UnixMilli()
	for value, exact := range map[string]bool{
		"1795563650123": true, "2026-11-24T23:40:50.123Z": true, `"2026-11-24 23:40:50.123"`: true, "2026-11-24T23:40:50.123000Z": true,
		"2026-11-25T00:40:50.123+0100": true, "2026-11-24t23:40:50,123z": true,
		"2026-11-24T23:40:50.1234Z": false, "2026-11-24T23:40:50.123000001Z": false, `"2026-11-24T23:40:50,1239"`: false,
	} {
		if strings.Contains(value, ",") {
			value = `"` + strings.Trim(value, `"`) + `"`
		}
		for order, want := range map[string][3]bool{"gt": {false, false, true}, "ge": {false, exact, true}, "lt": {true, !exact, false}, "le": {true, true, false}} {
			e, err := query.Audit().ParseFilter("created " + order + " " + value)
			if err != nil {
				t.Errorf("%s: %v", value, err)
				continue
			}
			for i, want := range want {
				if got := query.Match(e, query.AuditValues(at(base+int64(i)-1))); got != want {
					t.Errorf("%d ms from it: created %s %s is %v, want %v", i-1, order, value, got, want)
				}
			}
		}
	}
}

func TestRangeOfNull(t *testing.T) {
	t.Parallel()
	e := query.Range{Field: query.FieldCreated, Order: query.NotAfter, Value: "9999-12-31T23:59:59.999Z"}
	null := func(query.Field) (string, bool) { return "", false }
	if query.Match(e, null) || !query.Match(query.Not{Term: e}, null) {
		t.Error("null stands in an order")
	}
}

// TestAuditFilters holds filters of entries against what they are made of: they
// read back from their text, and simplifying changes nothing of what they select.
func TestAuditFilters(t *testing.T) {
	t.Parallel()
	some := 0
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) audit.Recorded {
			return audit.Recorded{
				Entry: querytest.Entry().Draw(t, "entry"), Place: audit.Place{Shard: 1, Number: rapid.Int64Range(1, 9).Draw(t, "number")},
			}
		}), 1, 8).Draw(t, "entries")
		e := querytest.EntryExpr(entries...).Draw(t, "filter")
		selected := 0
		again, err := query.Audit().ParseFilter(e.String())
		if err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		simple := query.Simplify(e)
		for i := range entries {
			values := query.AuditValues(&entries[i])
			want := query.Match(e, values)
			if want {
				selected++
			}
			if query.Match(again, values) != want {
				t.Fatalf("%s read back is %s, and selects others", e, again)
			}
			if query.Match(simple, values) != want {
				t.Fatalf("%s simplified is %s, and selects others", e, simple)
			}
		}
		if selected > 0 && selected < len(entries) {
			some++
		}
	})
	if some == 0 {
		t.Error("no filter selected some entries and not all")
	}
}
