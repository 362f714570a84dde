package query_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"stint/internal/account"
	"stint/internal/query"
	"stint/internal/query/querytest"
	"stint/internal/task"
)

func tableOf(class account.Class) *query.Table {
	if class == account.Entitlements {
		return query.Entitlements()
	}
	return query.Accounts()
}

func TestRecordFilters(t *testing.T) {
	t.Parallel()
	accounts, entitlements, changes := query.Accounts(), query.Entitlements(), query.Changes()
	for name, test := range map[string]struct {
		table        *query.Table
		filter, want string
	}{
		"starts with":                {accounts, `name sw "Zoë \"x"`, `name sw "Zoë \"x"`},
		"starts with, bare":          {accounts, `nativeIdentity sw u01 and not name sw ""`, `nativeIdentity sw "u01" and not name sw ""`},
		"ids":                        {accounts, `sourceId eq "9315DF38-7ad1-6c49-20c9-47a67932c2a4" or lastTaskId in ("` + strings.ToUpper(someID) + `", No)`, `sourceId eq "` + someID + `" or lastTaskId in ("` + someID + `", "no")`},
		"last change":                {accounts, `lastChange in (created, "Updated")`, `lastChange in ("CREATED", "UPDATED")`},
		"attribute":                  {accounts, `attributes.dept eq Sales`, `attributes.dept eq "Sales"`},
		"attribute, more than ASCII": {accounts, `attributes.größe.a-b_c:d+1 in (a)`, `attributes.größe.a-b_c:d+1 eq "a"`},
		"attribute in quotes":        {accounts, `attributes."Cost Center" in ("a", "b")`, `attributes."Cost Center" in ("a", "b")`},
		"attribute, needless quotes": {accounts, `attributes."dept" isnull`, `attributes.dept isnull`},
		"attribute, escapes":         {accounts, `pr attributes."a\"b\\"`, `not attributes."a\"b\\" isnull`},
		"attribute, a word of ours":  {accounts, `attributes.and eq x and attributes."or" eq y`, `attributes.and eq "x" and attributes.or eq "y"`},
		"attribute, touching":        {accounts, `attributes."a"eq"b"and(attributes."c"isnull)`, `attributes.a eq "b" and attributes.c isnull`},
		"attribute with a dot":       {accounts, `attributes."a.b" eq c or attributes.a.b eq d`, `attributes.a.b eq "c" or attributes.a.b eq "d"`},
		"attribute of entitlements":  {entitlements, `attribute eq groups and value sw "cn="`, `attribute eq "groups" and nativeIdentity sw "cn="`},
		"change":                     {changes, `change in (deleted, CREATED) and nativeIdentity eq u1`, `change in ("DELETED", "CREATED") and nativeIdentity eq "u1"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := test.table.ParseFilter(test.filter)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestRecordFilterErrors(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		`lastChange eq DELETED`:            `filters: "DELETED" at position 15 is not a change: CREATED, UPDATED`,
		`attributes.dept sw "a"`:           `filters: the operator "sw" at position 17 is not allowed on attributes.dept: eq, in, isnull, pr`,
		`attributes."a b" co "a"`:          `filters: the operator "co" at position 18 is not allowed on attributes."a b": eq, in, isnull, pr`,
		`attributes. eq "a"`:               `filters: "attributes." at position 1 is not a field to filter on: id, sourceId, nativeIdentity, name, lastTaskId, lastChange, attributes.NAME`,
		`attributes."" eq "a"`:             `filters: "attributes." at position 1 is not a field to filter on: id, sourceId, nativeIdentity, name, lastTaskId, lastChange, attributes.NAME`,
		`attributes eq "a"`:                `filters: "attributes" at position 1 is not a field to filter on: id, sourceId, nativeIdentity, name, lastTaskId, lastChange, attributes.NAME; write: attributes.NAME, or attributes."NAME"`,
		`attributes. "a" eq "b"`:           `filters: the value "a" at position 13 comes where an operator is expected; the operators are eq, in, sw, isnull, pr`,
		`attributes.x"a" eq "b"`:           `filters: the value "a" at position 13 comes where an operator is expected; the operators are eq, in, sw, isnull, pr`,
		`"attributes.x" eq "b"`:            `filters: the value "attributes.x" at position 1 comes where a field is expected; fields are written without quotes`,
		`attributes."x eq "b"`:             `filters: "b" at position 19 is not an operator; the operators are eq, in, sw, isnull, pr`,
		`attributes."x"`:                   `filters: the end at position 15 comes where an operator is expected; the operators are eq, in, sw, isnull, pr`,
		`name sw ("a")`:                    `filters: "(" at position 9 comes where one value is expected; a list needs in`,
		`name eq null`:                     `filters: "null" at position 9 is not a value; as a text it needs double quotes`,
		`attributes.x eq null`:             `filters: "null" at position 17 is not a value; write: attributes.x isnull`,
		`attribute eq groups`:              `filters: "attribute" at position 1 is not a field to filter on: id, sourceId, nativeIdentity, name, lastTaskId, lastChange, attributes.NAME`,
		`created eq "2026-01-01T00:00Z"`:   `filters: "created" at position 1 is not a field to filter on: id, sourceId, nativeIdentity, name, lastTaskId, lastChange, attributes.NAME`,
		`source eq "HR" and name sw "a"  `: `filters: "source" at position 1 is not a field to filter on: id, sourceId, nativeIdentity, name, lastTaskId, lastChange, attributes.NAME; write: sourceId`,
	} {
		_, err := query.Accounts().ParseFilter(filter)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", filter, err, want)
		}
	}
	// The narrow table stays as narrow as it was.
	for _, filter := range []string{`launcher sw "a"`, `attributes.x eq "a"`, `attributes."x" eq "a"`, `name eq "a"`, `nativeIdentity sw "a"`} {
		if _, err := tasksTable().ParseFilter(filter); task.KindOf(err) != task.Content {
			t.Errorf("%s of tasks: %v", filter, err)
		}
	}
}

func TestRecordOrder(t *testing.T) {
	t.Parallel()
	for rawQuery, want := range map[string][]query.Sorter{
		"": {{Field: query.FieldKey}},
		"filters=sourceId+eq+a+and+lastChange+eq+CREATED": {{Field: query.FieldKey}},
		"filters=name+sw+a":                                       {{Field: query.FieldName}},
		"filters=sourceId+eq+a+and+name+in+(a,b)":                 {{Field: query.FieldName}},
		"filters=name+eq+a+or+name+eq+b":                          {{Field: query.FieldName}},
		"filters=name+eq+a+and+(id+eq+c+and+nativeIdentity+sw+b)": {{Field: query.FieldNativeIdentity}},
		"filters=name+sw+a+or+nativeIdentity+sw+b":                {{Field: query.FieldKey}},
		"filters=not+name+eq+a":                                   {{Field: query.FieldKey}},
		"filters=name+sw+a&sorters=-nativeIdentity":               {{Field: query.FieldNativeIdentity, Desc: true}},
		"sorters=name,-nativeIdentity":                            {{Field: query.FieldName}, {Field: query.FieldNativeIdentity, Desc: true}},
	} {
		page, err := query.Accounts().ParsePage(rawQuery)
		if err != nil {
			t.Fatalf("%s: %v", rawQuery, err)
		}
		if diff := cmp.Diff(want, page.Sort); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rawQuery, diff)
		}
	}
	for _, sorters := range []string{"key", "created", "attributes.x", "sourceId"} {
		if _, err := query.Accounts().ParsePage("sorters=" + sorters); task.KindOf(err) != task.IllegalValue {
			t.Errorf("sorters=%s: %v", sorters, err)
		}
	}
	if _, err := query.Changes().ParsePage("sorters=change"); task.KindOf(err) != task.Content {
		t.Errorf("sorters of changes: %v", err)
	}
}

func TestMatchOfSeveralValues(t *testing.T) {
	t.Parallel()
	a := &account.Stored{Record: account.Record{Key: "U1", Name: "Zoë", Body: []byte(`{"dept":"Sales","groups":["Admins","b"],"none":[],"null":null}`)}}
	for filter, want := range map[string]bool{
		`attributes.groups eq "admins"`:                                      true,
		`attributes.groups eq "admins" and attributes.groups eq "B"`:         true,
		`not (attributes.groups eq "admins" and attributes.groups eq "B")`:   false,
		`not attributes.groups eq "admins" or not attributes.groups eq "B"`:  false,
		`attributes.groups in ("x", "b")`:                                    true,
		`not attributes.groups in ("x", "b")`:                                false,
		`attributes.groups eq "x"`:                                           false,
		`attributes.dept eq "SALES"`:                                         true,
		`attributes.Dept eq "Sales"`:                                         false,
		`attributes.Dept isnull and attributes.none isnull`:                  true,
		`attributes.null isnull and pr attributes.groups`:                    true,
		`name sw "zo" and name sw "ZOë" and nativeIdentity sw ""`:            true,
		`name sw "zoë x" or name sw "o"`:                                     false,
		`name sw "zOË"`:                                                      false, // only ASCII case is ignored
		`nativeIdentity eq "u1" and not nativeIdentity sw "u1x"`:             true,
		`attributes.groups eq "admins" and not attributes.groups eq "nobod"`: true,
	} {
		e, err := query.Accounts().ParseFilter(filter)
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		for how, e := range map[string]query.Expr{"as written": e, "simplified": query.Simplify(e)} {
			if got := query.MatchLists(e, query.AccountValues(a)); got != want {
				t.Errorf("%s, %s: got %v", filter, how, got)
			}
		}
	}
}

// drawStored draws records as a store keeps them.
func drawStored(t *rapid.T, class account.Class) []account.Stored {
	var stored []account.Stored
	for i, r := range querytest.Records(class, 1, 8).Draw(t, "records") {
		id := func(label string) task.ID {
			return rapid.SampledFrom([]task.ID{someID, "00000000000000000000000000000001"}).Draw(t, label)
		}
		stored = append(stored, account.Stored{
			Record: r, ID: task.ID(strings.Repeat(string(rune('0'+i)), 32)), SourceID: id("source"), LastTaskID: id("task"),
			LastChange: rapid.SampledFrom([]account.Change{account.Created, account.Updated}).Draw(t, "change"),
		})
	}
	return stored
}

func TestRecordExpressions(t *testing.T) {
	t.Parallel()
	for _, class := range []account.Class{account.Accounts, account.Entitlements} {
		t.Run(class.String(), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				records := drawStored(t, class)
				e := querytest.RecordExpr(class, records...).Draw(t, "filter")
				simple := query.Simplify(e)
				if again := query.Simplify(simple); again.String() != simple.String() {
					t.Fatalf("%s can be simplified further, to %s", simple, again)
				}
				for i := range records {
					values := querytest.RecordValues(class, &records[i])
					want := query.MatchLists(e, values)
					if query.MatchLists(simple, values) != want {
						t.Fatalf("%s is %t, simplified to %s it is not", e, want, simple)
					}
					if query.MatchLists(query.Not{Term: e}, values) == want {
						t.Fatalf("%s is not two-valued", e)
					}
				}
				if len(e.String()) > query.MaxFilterBytes {
					return
				}
				got, err := tableOf(class).ParseFilter(e.String())
				if err != nil {
					t.Fatalf("%v\n%s", err, e)
				}
				if diff := cmp.Diff(e, got); diff != "" {
					t.Fatalf("%s\n(-want +got):\n%s", e, diff)
				}
			})
		})
	}
}

// TestRecordFiltersSelect shows that filters are worth having.
func TestRecordFiltersSelect(t *testing.T) {
	t.Parallel()
	all, some, none := 0, 0, 0
	for seed := range 300 {
		records := rapid.Custom(func(t *rapid.T) []account.Stored { return drawStored(t, account.Accounts) }).Example(seed)
		e := querytest.RecordExpr(account.Accounts, records...).Example(seed)
		n := 0
		for i := range records {
			if query.MatchLists(e, query.AccountValues(&records[i])) {
				n++
			}
		}
		switch n {
		case 0:
			none++
		case len(records):
			all++
		default:
			some++
		}
	}
	if all < 15 || some < 75 || none < 15 {
		t.Errorf("all %d, some %d, none %d of 300", all, some, none)
	}
}
