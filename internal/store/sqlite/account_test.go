package sqlite

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"stint/internal/account"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// someRecords fills a source with n accounts or entitlements; where live is
// false, the source itself is gone, as while a deleted one is swept.
func someRecords(tb testing.TB, s *Store, source, n int, class account.Class, live bool) {
	tb.Helper()
	err := s.do(tb.Context(), "fill", func(t *txn) error {
		if live {
			err := t.exec(ofClass(`INSERT INTO sources (seq, id, name, type, created, modified, settings, @records)
				VALUES (?1, ?2, ?3, 'DelimitedFile', 1, 1, x'7b7d', ?4)
				ON CONFLICT (seq) DO UPDATE SET @records = @records + ?4`, class),
				source, sqlrow.Blob(sourceID(source)), "Source "+strconv.Itoa(source), n)
			if err != nil {
				return err
			}
		}
		for i := range n {
			key := fmt.Sprintf("u%04d", i)
			if class == account.Entitlements {
				key = account.EntitlementKey("groups", key)
			}
			id := recordID(source, class, i)
			err := t.exec(ofClass(`INSERT INTO @records (source, key, id, name, created, modified, change, task_id, hash, body)
				VALUES (?, ?, ?, ?, 1, 1, 'CREATED', ?, x'', ?)`, class),
				source, key, sqlrow.Blob(id), "Name "+strconv.Itoa(i%7), sqlrow.Blob(id), []byte(`{"dept":"Sales","groups":["a","b"]}`))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func recordID(source int, class account.Class, n int) task.ID {
	return task.ID(fmt.Sprintf("%08x%08x%016x", source, int(class), n))
}

func sourceID(n int) task.ID { return task.ID(fmt.Sprintf("%032x", n)) }

// TestRecordPlans holds the statements that lists of accounts and entitlements
// really run against the indexes that are there for them.
func TestRecordPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	for _, class := range []account.Class{account.Accounts, account.Entitlements} {
		someRecords(t, s, 1, 20, class, true)
		someRecords(t, s, 2, 20, class, true)
	}
	var many []string
	for i := range 40 {
		many = append(many, strconv.Quote(string(sourceID(i))))
	}
	one, two := string(sourceID(1)), string(sourceID(2))
	for _, test := range []struct {
		filter, sorters string
		index           string // of every branch
		sorts           bool   // may sort the rows that match
	}{
		{"", "", "key", false},
		{"", "name", "name", false},
		{"", "-name", "name", false},
		{"", "nativeIdentity", "native_identity", false},
		{`sourceId eq "` + one + `"`, "", "key", false},
		{`sourceId eq "` + one + `"`, "name", "key", true},
		{`sourceId in ("` + one + `", "` + two + `")`, "", "key", true},
		{`sourceId in (` + strings.Join(many, ", ") + `)`, "", "key", true},
		{`nativeIdentity eq "U0001"`, "", "native_identity", false},
		{`nativeIdentity in ("u0001", "u0002")`, "", "native_identity", true},
		{`nativeIdentity in (` + strings.Join(many, ", ") + `)`, "", "native_identity", true},
		{`nativeIdentity sw "U00"`, "", "native_identity", false},
		{`nativeIdentity sw "U00"`, "-nativeIdentity", "native_identity", false},
		{`name eq "name 1"`, "", "name", false},
		{`name in ("name 1", "name 2")`, "", "name", true},
		{`name sw "n"`, "", "name", false},
		{`name sw "n"`, "name", "name", false},
		{`name sw "n"`, "nativeIdentity", "name", true},
		{`id eq "` + one + `"`, "", "id", true},
		{`id in (` + strings.Join(many, ", ") + `)`, "", "id", true},
		{`id eq "none" or name in ("a", "b")`, "", "", true},
		{`name sw "a" or nativeIdentity sw "b"`, "", "na", true},
		{`name sw "a" and sourceId eq "` + one + `"`, "", "", true},
		{`lastChange eq UPDATED and nativeIdentity eq "u0001"`, "", "native_identity", false},
		{`not name eq "a"`, "", "key", false},
	} {
		for _, class := range []account.Class{account.Accounts, account.Entitlements} {
			for _, more := range []string{"", "&limit=50&offset=100000", "&count=true&limit=0"} {
				name := fmt.Sprintf("%s %.60s %s%s", class, test.filter, test.sorters, more)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					texts := recordStatements(t, s, class, test.filter, test.sorters, more)
					for _, text := range texts {
						checkRecordPlan(t, class, text, explain(t, s, text), test.index, test.sorts || strings.Contains(more, "limit=0"))
					}
				})
			}
		}
	}
}

func recordStatements(tb testing.TB, s *Store, class account.Class, filter, sorters, more string) []string {
	tb.Helper()
	page := recordPage(tb, class, filter, sorters, more)
	texts := statementsOf(tb, s, func(r reading) error {
		_, _, err := (&recordLister{reading: r, class: class}).list(page)
		return err
	})
	if len(texts) == 0 {
		tb.Fatal("no statement")
	}
	return texts
}

func recordPage(tb testing.TB, class account.Class, filter, sorters, more string) query.Page {
	tb.Helper()
	table := query.Accounts()
	if class == account.Entitlements {
		table = query.Entitlements()
	}
	page, err := table.ParsePage("sorters=" + sorters + more + "&filters=" + url.QueryEscape(filter))
	if err != nil {
		tb.Fatal(err)
	}
	return page
}

func checkRecordPlan(t *testing.T, class account.Class, text string, steps []string, index string, sorts bool) {
	t.Helper()
	found := !strings.Contains(text, " r INDEXED BY ")
	for _, step := range steps {
		switch {
		case strings.HasPrefix(step, "SCAN r") && !strings.Contains(step, "USING"):
			t.Errorf("%q in the plan of %.400s", step, text)
		case strings.Contains(step, "TEMP B-TREE") && !sorts:
			t.Errorf("%q in the plan of %.400s", step, text)
		case strings.Contains(step, " r ") && strings.Contains(step, "INDEX "+class.String()+"_"+index):
			found = true
		}
	}
	if !found {
		t.Errorf("the index %s is not used: %q in the plan of %.400s", index, steps, text)
	}
}

// TestCountsOfRecordsAreStored shows that the commonest counts look at no record.
func TestCountsOfRecordsAreStored(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	someRecords(t, s, 1, 3, account.Accounts, true)
	for _, filter := range []string{"", `sourceId eq "` + string(sourceID(1)) + `"`, `sourceId in ("x", "` + string(sourceID(1)) + `")`} {
		for _, text := range recordStatements(t, s, account.Accounts, filter, "", "&count=true&limit=0") {
			if strings.Contains(text, "accounts r") {
				t.Errorf("%q is counted by %s", filter, text)
			}
		}
	}
}

// TestDeletedSourcesAreNotShown looks for accounts of a source that is gone, in
// every way there is.
func TestDeletedSourcesAreNotShown(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	for _, class := range []account.Class{account.Accounts, account.Entitlements} {
		someRecords(t, s, 1, 3, class, true)
		someRecords(t, s, 2, 5, class, false)
	}
	gone := recordID(2, account.Accounts, 0)
	if _, err := s.Account(t.Context(), gone); task.KindOf(err) != task.NotFound {
		t.Errorf("get: %v", err)
	}
	for _, filter := range []string{"", `name sw "n"`, `nativeIdentity sw "U"`, `not name eq "x"`, `name sw "" or nativeIdentity eq "u0000"`, `name in ("name 0", "name 1", "name 2")`} {
		for _, sorters := range []string{"", "name", "-nativeIdentity"} {
			for _, class := range []account.Class{account.Accounts, account.Entitlements} {
				found, total, err := s.listRecords(t.Context(), class, recordPage(t, class, filter, sorters, "&count=true"))
				if err != nil || len(found) != 3 || total != 3 {
					t.Errorf("%s %q by %q: %d of %d, %v", class, filter, sorters, len(found), total, err)
				}
			}
		}
	}
	if found, total, err := s.ListAccounts(t.Context(), recordPage(t, account.Accounts, `id eq "`+string(gone)+`" or sourceId eq "`+string(sourceID(2))+`"`, "", "&count=true")); err != nil || len(found) != 0 || total != 0 {
		t.Errorf("by id: %d of %d, %v", len(found), total, err)
	}
}

// TestAttributeNames reads attributes whose names mean something to a JSON path.
func TestAttributeNames(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	someRecords(t, s, 1, 1, account.Accounts, true)
	for _, name := range []string{
		"a", "Cost Center", `"`, `a"b`, `\`, `a\`, `\"`, `\n`, "a\nb", "\t", "\x1f", "\x7f", "$", "$.a", "a.b", "[0]", "a[0]", "#", "*", "é", "日本語", "😀",
		"\u2028", "\u2029x", "'", "a'b", " ", "a ", "%", "_", "type", "key", "/", "~1", `\u0041`, "?", "<&>",
	} {
		body := append(append([]byte(`{"`+"zz"+`":"no",`), account.AppendText(nil, name)...), `:["x","Yes"]}`...)
		if err := s.do(t.Context(), "set", func(t *txn) error { return t.exec("UPDATE accounts SET body = ?", body) }); err != nil {
			t.Fatal(err)
		}
		field := query.AttributeField(name)
		for _, test := range []struct {
			filter query.Expr
			want   int64
		}{
			{query.Compare{Field: field, Values: []string{"yES"}}, 1},
			{query.Compare{Field: field, Values: []string{"no", "x"}}, 1},
			{query.Compare{Field: field, Values: []string{"no"}}, 0},
			{query.Null{Field: field}, 0},
			{query.Null{Field: query.AttributeField(name + "x")}, 1},
		} {
			page := recordPage(t, account.Accounts, "", "", "&count=true")
			page.Filter = test.filter
			if _, total, err := s.ListAccounts(t.Context(), page); err != nil || total != test.want {
				t.Errorf("%s: %d, want %d, %v (%s)", test.filter, total, test.want, err, hex.EncodeToString([]byte(name)))
			}
		}
	}
}

// TestLongRecordFilters asks what is longest of its kind.
func TestLongRecordFilters(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	someRecords(t, s, 1, 20, account.Accounts, true)
	fill := func(bytes int, connective string, term func(n int) string) string {
		var terms []string
		for n, size := 0, 0; size < bytes; n++ {
			terms = append(terms, term(n))
			size += len(terms[n]) + len(connective)
		}
		return strings.Join(terms, connective)
	}
	numbered := func(format string) func(int) string {
		return func(n int) string { return fmt.Sprintf(format, n) }
	}
	list := func(n int) string {
		values := []string{"u0001"}
		for i := range 400 {
			values = append(values, strconv.Itoa(n*400+i))
		}
		return "nativeIdentity in (" + strings.Join(values, ",") + ")"
	}
	// SQLite compares each of many texts with all before it: the race detector
	// would make that take minutes.
	const some, most = 6 << 10, query.MaxFilterBytes - 3000
	few := make([]string, 15)
	for i := range few {
		few[i] = fmt.Sprintf("name sw n%d", i)
	}
	for name, test := range map[string]struct {
		filter string
		want   int64
	}{
		"prefixes":                {fill(some, " or ", numbered("name sw n%d")), 0},
		"attributes":              {"name sw n and (" + fill(some, " or ", numbered("attributes.a%d eq b")) + ")", 0},
		"several of an attribute": {fill(some, " and ", numbered("not attributes.a%d eq b")), 20},
		"lists":                   {fill(most, " or ", list), 1},
		"branches times lists":    {"(" + strings.Join(few, " or ") + ") and (" + fill(most, " or ", list) + ")", 0},
	} {
		for _, sorters := range []string{"", "name"} {
			found, total, err := s.ListAccounts(t.Context(), recordPage(t, account.Accounts, test.filter, sorters, "&count=true"))
			if err != nil || total != test.want || int64(len(found)) != test.want {
				t.Errorf("%s: %d of %d, want %d, %v", name, len(found), total, test.want, err)
			}
		}
	}
}
