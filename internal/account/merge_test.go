package account_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"stint/internal/account"
)

func record(name, body string) account.Record {
	return account.Record{Key: "k", Name: name, Body: []byte(body)}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	kept := account.Record{Key: "k", Keep: true}
	good := record("n", `{"groups":["a"],"id":"k"}`)
	for name, c := range map[string]struct {
		first, second account.Record
		want          account.Record
		refused       bool
	}{
		"values are united": {
			first: record("n", `{"groups":["a","c"],"id":"k","z":"1"}`), second: record("n", `{"groups":["b","c"],"id":"k","z":"1"}`),
			want: record("n", `{"groups":["a","b","c"],"id":"k","z":"1"}`),
		},
		"values of one alone": {
			first: record("n", `{"id":"k"}`), second: record("n", `{"groups":["b"],"id":"k"}`), want: record("n", `{"groups":["b"],"id":"k"}`),
		},
		"each another column": {
			first: record("n", `{"groups":["b"],"id":"k"}`), second: record("n", `{"id":"k","roles":["x"]}`),
			want: record("n", `{"groups":["b"],"id":"k","roles":["x"]}`),
		},
		"sorted by bytes, not by their escapes": {
			first: record("n", `{"groups":["\n"]}`), second: record("n", `{"groups":[" ","\u2028"]}`), want: record("n", `{"groups":["\n"," ","\u2028"]}`),
		},
		"a text among arrays": {
			first: record("n", `{"groups":"b"}`), second: record("n", `{"groups":["a","b"]}`), want: record("n", `{"groups":["a","b"]}`),
		},
		"equal":                {first: good, second: good, want: good},
		"a good one wins":      {first: good, second: kept, want: good},
		"a good one wins late": {first: kept, second: good, want: good},
		"both are kept":        {first: kept, second: kept, want: kept},
		"other name":           {first: good, second: record("m", string(good.Body)), refused: true},
		"other attribute":      {first: record("n", `{"x":"1"}`), second: record("n", `{"x":"2"}`), refused: true},
		"attribute less":       {first: record("n", `{"x":"1"}`), second: record("n", `{}`), refused: true},
		"attribute more":       {first: record("n", `{"groups":["a"]}`), second: record("n", `{"groups":["b"],"x":"1"}`), refused: true},
		"other key":            {first: good, second: account.Record{Key: "l", Name: "n", Body: good.Body}, refused: true},
		"no body":              {first: record("n", `null`), second: record("n", `{"groups":["a"]}`), refused: true},
		"broken body":          {first: record("n", `{`), second: record("n", `{"groups":["a"]}`), refused: true},
		"neither text":         {first: record("n", `{"groups":1}`), second: record("n", `{"groups":["a"]}`), refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := account.Merge(c.first, c.second, []string{"groups", "roles"})
			if ok == c.refused {
				t.Fatalf("merged: %t, want %t: %s", ok, !c.refused, got.Body)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

// TestMergeEntitlements: they have no columns whose values unite.
func TestMergeEntitlements(t *testing.T) {
	t.Parallel()
	a, b := record("n", `{"description":"x"}`), record("n", `{"description":"y"}`)
	if got, ok := account.Merge(a, a, nil); !ok || !cmp.Equal(got, a) {
		t.Fatalf("got %v, %t", got, ok)
	}
	if _, ok := account.Merge(a, b, nil); ok {
		t.Fatal("two that differ became one")
	}
}

// TestMergeProperty: what becomes of many rows does not depend on their order,
// holds every value once, and adds nothing when a row comes again.
func TestMergeProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(text(), 0, 4), 1, 5).Draw(rt, "rows")
		body := func(values []string) []byte {
			values = slices.Compact(slices.Sorted(slices.Values(values)))
			if len(values) == 0 {
				return []byte(encode(t, map[string]any{"id": "k"}))
			}
			return []byte(encode(t, map[string]any{"id": "k", "groups": values}))
		}
		all := map[string]bool{}
		merged := account.Record{Key: "k", Name: "n", Body: body(rows[0])}
		backwards := account.Record{Key: "k", Name: "n", Body: body(rows[len(rows)-1])}
		for i, row := range rows {
			for _, v := range row {
				all[v] = true
			}
			var ok, backwardsOK bool
			merged, ok = account.Merge(merged, account.Record{Key: "k", Name: "n", Body: body(row)}, []string{"groups"})
			backwards, backwardsOK = account.Merge(backwards, account.Record{Key: "k", Name: "n", Body: body(rows[len(rows)-1-i])}, []string{"groups"})
			if !ok || !backwardsOK {
				rt.Fatal("rows of one account did not become one")
			}
		}
		want := string(body(slices.Collect(maps.Keys(all))))
		if string(merged.Body) != want || string(backwards.Body) != want {
			rt.Fatalf("got %s and %s, want %s", merged.Body, backwards.Body, want)
		}
	})
}
