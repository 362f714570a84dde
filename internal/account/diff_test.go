package account_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stint/internal/account"
)

func TestDiffAttributes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after account.Record
		want          []string
	}{
		"equal":                       {before: record("n", `{"a":"1"}`), after: record("n", `{"a":"1"}`)},
		"changed, come, gone":         {before: record("n", `{"b":"1","c":"1","d":"1"}`), after: record("n", `{"a":"1","b":"2","d":"1"}`), want: []string{"a", "b", "c"}},
		"values":                      {before: record("n", `{"g":["a"]}`), after: record("n", `{"g":["a","b"]}`), want: []string{"g"}},
		"name alone":                  {before: record("n", `{"a":"1"}`), after: record("m", `{"a":"1"}`), want: []string{"name"}},
		"name by its column":          {before: record("n", `{"full":"n"}`), after: record("m", `{"full":"m"}`), want: []string{"full"}},
		"name by a column called so":  {before: record("n", `{"name":"n"}`), after: record("m", `{"name":"m"}`), want: []string{"name"}},
		"name fell back":              {before: record("n", `{"full":"n"}`), after: record("k", `{}`), want: []string{"full"}},
		"name came":                   {before: record("k", `{}`), after: record("n", `{"full":"n"}`), want: []string{"full"}},
		"name beside other changes":   {before: record("n", `{"a":"1"}`), after: record("m", `{"a":"2"}`), want: []string{"a", "name"}},
		"name beside a column so":     {before: record("n", `{"name":"1"}`), after: record("m", `{"name":"2"}`), want: []string{"name"}},
		"name that was of no column":  {before: record("n", `{"a":"1"}`), after: record("m", `{"a":"m"}`), want: []string{"a", "name"}},
		"columns of an entitlement":   {before: record("n", `{"description":"1","attributes":{"x":"1","y":"1"}}`), after: record("n", `{"attributes":{"x":"1","y":"2"}}`), want: []string{"description", "y"}},
		"what cannot be read is none": {before: record("n", `{`), after: record("n", `{"a":"1"}`), want: []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, account.DiffAttributes(&c.before, &c.after), cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestDiffOfEntitlementThatLostItsName(t *testing.T) {
	t.Parallel()
	key := account.EntitlementKey("group", "id")
	before := account.Record{Key: key, Name: "Staff", Body: []byte(`{"displayName":"Staff"}`)}
	after := account.Record{Key: key, Name: "id", Body: []byte(`{}`)}
	if diff := cmp.Diff([]string{"displayName"}, account.DiffAttributes(&before, &after)); diff != "" {
		t.Fatal(diff)
	}
}

func TestEntitlementValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want []string
		err  bool
	}{
		"array":     {body: `{"g":["a","b\n"]}`, want: []string{"a", "b\n"}},
		"text":      {body: `{"g":"a,b"}`, want: []string{"a,b"}},
		"empty":     {body: `{"g":""}`},
		"absent":    {body: `{"h":"a"}`},
		"number":    {body: `{"g":1}`, err: true},
		"array of":  {body: `{"g":[{}]}`, err: true},
		"no object": {body: `[`, err: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := account.EntitlementValues([]byte(c.body), "g")
			if (err != nil) != c.err {
				t.Fatalf("got the error %v", err)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); !c.err && diff != "" {
				t.Fatal(diff)
			}
		})
	}
}
