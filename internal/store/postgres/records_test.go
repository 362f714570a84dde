package postgres

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stint/internal/account"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

func mustExec(tb testing.TB, s *Store, statement string, args ...any) {
	tb.Helper()
	if _, err := s.pool.Exec(tb.Context(), statement, args...); err != nil {
		tb.Fatalf("%v\n%s", err, statement)
	}
}

// fillRecords gives a source n accounts or entitlements; where live is false, the
// source itself is gone, as while a deleted one is swept.
func fillRecords(tb testing.TB, s *Store, source, n int, class account.Class, live bool) {
	tb.Helper()
	if live {
		mustExec(tb, s, ofClass(`INSERT INTO sources (seq, id, name, type, created, modified, settings, @records)
			OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, 'DelimitedFile', 1, 1, '{}', $4)
			ON CONFLICT (seq) DO UPDATE SET @records = sources.@records + $4`, class),
			source, sqlrow.Blob(numberedSource(source)), "Source "+strconv.Itoa(source), n)
	}
	prefix := ""
	if class == account.Entitlements {
		prefix = account.EntitlementKey("groups", "")
	}
	mustExec(tb, s, ofClass(`INSERT INTO @records (source, key, id, name, created, modified, change, task_id, hash, body)
		SELECT $1::int, $2::text || 'u' || lpad(i::text, 6, '0'), (lpad(to_hex($1::int), 8, '0') || lpad(to_hex($3::int), 8, '0') || lpad(to_hex(i), 16, '0'))::uuid,
			'Name ' || i % 7, 1, 1, CASE WHEN i % 10 = 0 THEN 'UPDATED' ELSE 'CREATED' END, $4, '\x',
			convert_to('{"dept":"Sales' || i % 20 || '","groups":["a","b"]}', 'UTF8')
		FROM generate_series(0, $5::int - 1) i`, class), source, prefix, int(class), sqlrow.Blob(numberedSource(source)), n)
}

func numberedRecord(source int, class account.Class, n int) task.ID {
	return task.ID(fmt.Sprintf("%08x%08x%016x", source, int(class), n))
}

func numberedSource(n int) task.ID { return task.ID(fmt.Sprintf("%032x", n)) }

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

// TestRecordPlans holds the statements that lists of accounts and entitlements
// really run against the indexes that are there for them, and against how many rows
// they may look at.
func TestRecordPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	// Most are of one source: what is asked of the others must not wade through its.
	fillRecords(t, s, 1, 88_000, account.Accounts, true)
	fillRecords(t, s, 1, 18_000, account.Entitlements, true)
	for source := 2; source <= 5; source++ {
		fillRecords(t, s, source, 3000, account.Accounts, true)
		fillRecords(t, s, source, 3000, account.Entitlements, true)
	}
	analyze(t, s)
	quoted := make([]string, 40)
	for i := range quoted {
		quoted[i] = strconv.Quote(string(numberedSource(i + 2)))
	}
	two, many := string(numberedSource(2)), strings.Join(quoted, ", ")
	record := string(numberedRecord(3, account.Accounts, 7))
	for _, test := range []struct {
		filter, sorters string
		index           string  // of every scan
		looks           float64 // at so many rows, beside those before the page
	}{
		{"", "", "key", 0},
		{"", "name", "name", 0},
		{"", "-name", "name", 0},
		{"", "nativeIdentity", "native_identity", 0},
		{"", "-nativeIdentity,name", "native_identity", 50},
		{`sourceId eq "` + two + `"`, "", "key", 0},
		{`sourceId eq "` + two + `"`, "name", "key", 3000},
		{`sourceId in (` + quoted[0] + `, ` + quoted[2] + `)`, "", "key", 0},
		{`sourceId in (` + quoted[0] + `, ` + quoted[2] + `)`, "name", "key", 6000},
		{`sourceId in (` + many + `)`, "", "key", 0},
		{`nativeIdentity eq "U000001"`, "", "native_identity", 50},
		{`nativeIdentity in ("u000001", "u000002")`, "", "native_identity", 50},
		{`nativeIdentity in (` + many + `)`, "", "native_identity", 0},
		{`nativeIdentity sw "U0000"`, "", "native_identity", 500},
		{`nativeIdentity sw "U0000"`, "-nativeIdentity", "native_identity", 500},
		{`nativeIdentity sw "u00000"`, "name", "native_identity", 50},
		{`name eq "name 1"`, "", "name", 0},
		{`name in ("name 1", "name 2")`, "", "name", 0},
		{`name sw "n"`, "", "name", 0},
		{`name sw "n"`, "name", "name", 0},
		{`name sw "n"`, "nativeIdentity", "native_identity", 0},
		{`name sw "none"`, "nativeIdentity", "name", 0},
		{`id eq "` + record + `"`, "", "id", 1},
		{`id in (` + many + `)`, "name", "id", 40},
		{`id eq "none" or name in ("a", "b")`, "", "name", 0},
		{`name sw "a" or nativeIdentity sw "b"`, "", "na", 0},
		{`name sw "a" and sourceId eq "` + two + `"`, "", "name", 0},
		{`name sw "n" and sourceId eq "` + two + `"`, "", "key", 3000},
		{`lastChange eq UPDATED and nativeIdentity eq "u000001"`, "", "native_identity", 50},
		{`lastChange eq UPDATED`, "", "key", 1000},
		{`not name eq "name 1"`, "", "key", 1000},
	} {
		for _, class := range []account.Class{account.Accounts, account.Entitlements} {
			for _, offset := range []int{0, 500} {
				t.Run(fmt.Sprintf("%s %.60s %s from %d", class, test.filter, test.sorters, offset), func(t *testing.T) {
					t.Parallel()
					page := recordPage(t, class, test.filter, test.sorters, fmt.Sprintf("&limit=50&offset=%d", offset))
					statements := explainList(t, s, func(r reading) error {
						_, _, err := (&recordLister{reading: r, class: class}).list(page)
						return err
					})
					looks := test.looks + 3*float64(offset+51)
					if strings.HasPrefix(test.filter, "lastChange eq UPDATED") || strings.HasPrefix(test.filter, "not") {
						looks += 10 * float64(offset)
					}
					for i := range statements {
						checkRecordPlan(t, class, &statements[i], test.index, looks)
					}
				})
			}
		}
	}
}

func checkRecordPlan(t *testing.T, class account.Class, e *explained, index string, looks float64) {
	t.Helper()
	probes := strings.HasPrefix(e.query, "SELECT count(*)")
	e.plan.each(func(n *node) {
		looked := (n.Rows + n.Removed) * n.Loops
		switch {
		case n.Type == "Seq Scan" && n.Table == class.String():
			t.Errorf("all %s are scanned by %.600s\n%s", class, e.query, &e.plan)
		case n.Type == "Sort" && n.Rows > max(looks, 51):
			t.Errorf("%g rows are sorted by %.600s\n%s", n.Rows, e.query, &e.plan)
		case n.Table != class.String() || n.Loops == 0 || strings.HasSuffix(n.Index, "_pkey"):
		case probes && looked > maxProbed:
			t.Errorf("%g rows are looked at by the probe %.600s\n%s", looked, e.query, &e.plan)
		case !probes && looked > looks:
			t.Errorf("%g rows are looked at, want %g at the most, by %.600s\n%s", looked, looks, e.query, &e.plan)
		case !probes && !strings.HasPrefix(n.Index, class.String()+"_"+index):
			t.Errorf("the index %s is used, want %s, by %.600s\n%s", n.Index, index, e.query, &e.plan)
		}
	})
}

// TestCountsOfRecordsAreStored shows that the commonest counts look at no record.
func TestCountsOfRecordsAreStored(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	fillRecords(t, s, 1, 3, account.Accounts, true)
	for _, filter := range []string{"", `sourceId eq "` + string(numberedSource(1)) + `"`, `sourceId in ("x", "` + string(numberedSource(1)) + `")`} {
		for _, e := range explainList(t, s, func(r reading) error {
			_, total, err := (&recordLister{reading: r, class: account.Accounts}).list(recordPage(t, account.Accounts, filter, "", "&count=true&limit=0"))
			if total != 3 {
				t.Errorf("%q: %d, want 3", filter, total)
			}
			return err
		}) {
			if strings.Contains(e.query, "accounts r") {
				t.Errorf("%q is counted by %s", filter, e.query)
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
		fillRecords(t, s, 1, 3, class, true)
		fillRecords(t, s, 2, 5, class, false)
	}
	gone := numberedRecord(2, account.Accounts, 0)
	if _, err := s.Account(t.Context(), gone); task.KindOf(err) != task.NotFound {
		t.Errorf("get: %v", err)
	}
	for _, filter := range []string{"", `name sw "n"`, `nativeIdentity sw "U"`, `not name eq "x"`, `name sw "" or nativeIdentity eq "u000000"`, `name in ("name 0", "name 1", "name 2")`} {
		for _, sorters := range []string{"", "name", "-nativeIdentity"} {
			for _, class := range []account.Class{account.Accounts, account.Entitlements} {
				found, total, err := s.listRecords(t.Context(), class, recordPage(t, class, filter, sorters, "&count=true"))
				if err != nil || len(found) != 3 || total != 3 {
					t.Errorf("%s %q by %q: %d of %d, %v", class, filter, sorters, len(found), total, err)
				}
			}
		}
	}
	if found, total, err := s.ListAccounts(t.Context(), recordPage(t, account.Accounts, `id eq "`+string(gone)+`" or sourceId eq "`+string(numberedSource(2))+`"`, "", "&count=true")); err != nil || len(found) != 0 || total != 0 {
		t.Errorf("by id: %d of %d, %v", len(found), total, err)
	}
}

// TestAttributesOfAnyBody compares what the server makes of bodies with what
// query.MatchLists does.
func TestAttributesOfAnyBody(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	fillRecords(t, s, 1, 1, account.Accounts, true)
	names := []string{
		"a", "A", "Cost Center", `"`, `a"b`, `\`, `a\`, `\"`, `\n`, "a\nb", "\t", "\x1f", "\x7f", "$", "$.a", "a.b", "[0]", "a[0]", "#", "*", "?", "é", "日本語",
		"😀", "\u2028", "\ufffd", "'", "a'b", " ", "%", "_", "type", "/", "~1", `\u0041`, "<&>", "0", "",
	}
	values := []string{
		`"Yes"`, `["x","Yes"]`, `[]`, `""`, `[""]`, `null`, `[null]`, `5`, `[5]`, `["x",5]`, `true`, `"true"`, `"5"`, `{"x":"Yes"}`, `["x",["Yes"]]`, `["x",{"Yes":"x"}]`,
		`"\ufffd"`, "\"\ufffd\"", `"\u0059es"`, `"É"`, `"\"Yes\""`, `"a\\b"`, `1e400`, `"Yes\u0001"`, `"\ud83d\ude00"`, `["Yes","Yes"]`,
	}
	wanted := []string{"yES", "x", "", "5", "true", "\ufffd", "é", "É", `"yes"`, `a\b`, "null", "😀", "yes\x01", "yes\x00", "[]"}
	check := func(body []byte, filter query.Expr) {
		t.Helper()
		a := &account.Stored{Record: account.Record{Key: "u000000", Body: body}}
		want := int64(0)
		if query.MatchLists(filter, query.AccountValues(a)) {
			want = 1
		}
		page := recordPage(t, account.Accounts, "", "", "&count=true")
		page.Filter = filter
		if found, total, err := s.ListAccounts(t.Context(), page); err != nil || total != want || int64(len(found)) != want {
			t.Errorf("%s of %s: %d of %d, want %d, %v", filter, body, len(found), total, want, err)
		}
	}
	set := func(name, value string) (body []byte) {
		body = append(append([]byte(`{"zz":"no",`), account.AppendText(nil, name)...), ":"+value+"}"...)
		mustExec(t, s, "UPDATE accounts SET body = $1", body)
		return body
	}
	for _, name := range names {
		body := set(name, `["x","Yes"]`)
		for _, n := range []string{name, name + "x", name + "\x00"} {
			f := query.AttributeField(n)
			check(body, query.Null{Field: f})
			check(body, query.Not{Term: query.Compare{Field: f, Values: []string{"no", "yeS"}}})
		}
	}
	for _, value := range values {
		body := set("a", value)
		f := query.AttributeField("a")
		check(body, query.Null{Field: f})
		check(body, query.Compare{Field: f, Values: []string{"none", "x"}})
		for _, v := range wanted {
			check(body, query.Compare{Field: f, Values: []string{v}})
		}
	}
	for _, body := range []string{`[]`, `"a"`, `["a"]`, `5`, `null`, `{}`, `{"a":"1","a":"Yes"}`, ` { "a" : "Yes" } `} {
		mustExec(t, s, "UPDATE accounts SET body = $1", []byte(body))
		check([]byte(body), query.Null{Field: query.AttributeField("a")})
		check([]byte(body), query.Compare{Field: query.AttributeField("a"), Values: []string{"YES"}})
	}
}

// TestLongRecordFilters asks what is longest of its kind.
func TestLongRecordFilters(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	fillRecords(t, s, 1, 20, account.Accounts, true)
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
		values := []string{"u000001"}
		for i := range 400 {
			values = append(values, strconv.Itoa(n*400+i))
		}
		return "nativeIdentity in (" + strings.Join(values, ",") + ")"
	}
	const most = query.MaxFilterBytes - 3000
	few := make([]string, 15)
	for i := range few {
		few[i] = fmt.Sprintf("name sw n%d", i)
	}
	for name, test := range map[string]struct {
		filter string
		want   int64
	}{
		"prefixes":                {fill(most, " or ", numbered("name sw n%d")), 0},
		"attributes":              {"name sw n and (" + fill(most, " or ", numbered("attributes.a%d eq b")) + ")", 0},
		"several of an attribute": {fill(most, " and ", numbered("not attributes.a%d eq b")), 20},
		"lists":                   {fill(most, " or ", list), 1},
		"branches times lists":    {"(" + strings.Join(few, " or ") + ") and (" + fill(most, " or ", list) + ")", 0},
		"nested":                  {strings.Repeat("not (", 30) + "name sw n" + strings.Repeat(")", 30), 20},
	} {
		for _, sorters := range []string{"", "name"} {
			found, total, err := s.ListAccounts(t.Context(), recordPage(t, account.Accounts, test.filter, sorters, "&count=true"))
			if err != nil || total != test.want || int64(len(found)) != test.want {
				t.Errorf("%s: %d of %d, want %d, %v", name, len(found), total, test.want, err)
			}
		}
	}
}

// longText returns a text of n characters of four bytes that nothing compresses.
func longText(random *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteRune(rune(0x10000 + random.IntN(0x30000)))
	}
	return b.String()
}

// TestLongestTexts keeps keys and names that no entry of an index can hold, and
// that differ where it does not look.
func TestLongestTexts(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	random := rand.New(rand.NewPCG(1, 2))
	common := longText(random, maxIndexed)
	var texts []string
	for i := range 20 {
		texts = append(texts, common+longText(random, 1024-maxIndexed-1)+string(rune('a'+i%2))+strconv.Itoa(i), longText(random, 1024))
	}
	texts = append(texts, common, common+"x", common+"X\\", common+"X\\\\")
	for _, class := range []account.Class{account.Accounts, account.Entitlements} {
		prefix := ""
		if class == account.Entitlements {
			prefix = account.EntitlementKey(longText(random, 256), "")
		}
		fillRecords(t, s, 1, 0, class, true)
		run := startRun(t, s, 100*int(class), class, numberedSource(1))
		var records []account.Record
		var recorded []account.Recorded
		for i, text := range texts {
			r := account.Record{Key: prefix + text, Name: text, Body: []byte("{}")}
			records = append(records, r)
			recorded = append(recorded, account.Recorded{Record: r, ID: numberedRecord(1, class, i), Change: account.Created})
		}
		inWork(t, s, run.TaskID, func(w account.Work) error {
			clashes, err := w.Stage(records)
			if err != nil || len(clashes) > 0 {
				return fmt.Errorf("clashes %v, %w", clashes, err)
			}
			if clashes, err = w.Stage(records); err != nil || len(clashes) != len(records) {
				return fmt.Errorf("%d clashes, %w", len(clashes), err)
			}
			return w.Record(recorded)
		})
		order := slices.Clone(texts)
		slices.Sort(order)
		for _, sorters := range []string{"", "nativeIdentity", "name"} {
			found, total, err := s.listRecords(t.Context(), class, recordPage(t, class, "", sorters, "&count=true"))
			var got []string
			for _, r := range found {
				got = append(got, strings.TrimPrefix(r.Key, prefix))
			}
			if sorters != "" { // the order of those that begin alike is open
				slices.Sort(got)
			}
			if diff := cmp.Diff(order, got); err != nil || total != int64(len(texts)) || diff != "" {
				t.Errorf("%s by %q: %d, %v (-want +got):\n%.400s", class, sorters, total, err, diff)
			}
		}
		checkLongFilters(t, s, class, texts)
		checkLongRun(t, s, &run, len(texts))
	}
}

func checkLongFilters(t *testing.T, s *Store, class account.Class, texts []string) {
	t.Helper()
	list := func(filter query.Expr) (int, int64) {
		page := recordPage(t, class, "", "", "&count=true")
		page.Filter = filter
		found, total, err := s.listRecords(t.Context(), class, page)
		if err != nil {
			t.Fatal(err)
		}
		return len(found), total
	}
	for _, text := range texts {
		want, prefixed := 0, 0
		for _, other := range texts {
			if task.EqualFoldASCII(text, other) {
				want++
			}
			if strings.HasPrefix(task.LowerASCII(other), task.LowerASCII(text)) {
				prefixed++
			}
		}
		for _, f := range []query.Field{query.FieldName, query.FieldNativeIdentity} {
			equal, begins := query.Compare{Field: f, Values: []string{text}}, query.Prefix{Field: f, Value: text}
			for _, e := range []query.Expr{equal, query.Compare{Field: f, Values: []string{text, "no"}}, query.Not{Term: query.Not{Term: equal}}} {
				if n, total := list(e); n != want || total != int64(want) {
					t.Errorf("%s %s of %d bytes equals: %d of %d, want %d", class, f, len(text), n, total, want)
				}
			}
			for _, e := range []query.Expr{begins, query.Not{Term: query.Not{Term: begins}}} {
				if n, total := list(e); n != prefixed || total != int64(prefixed) {
					t.Errorf("%s %s of %d bytes begins: %d of %d, want %d", class, f, len(text), n, total, prefixed)
				}
			}
		}
	}
}

// checkLongRun walks through a run that has staged and stored the same records.
func checkLongRun(t *testing.T, s *Store, run *account.Run, n int) {
	t.Helper()
	var rows int64
	for after := ""; ; {
		c, err := s.Compare(t.Context(), run, after, 3)
		if err != nil || c.New+c.Differing > 0 {
			t.Fatalf("compare: %+v, %v", c.New, err)
		}
		if c.Rows == 0 {
			break
		}
		if c.Last <= after {
			t.Fatal("the walk goes back")
		}
		rows, after = rows+c.Rows, c.Last
	}
	if rows != int64(n) {
		t.Errorf("%d are staged, want %d", rows, n)
	}
	if gone, _, err := s.Missing(t.Context(), run, "", 1000); err != nil || len(gone) != 0 {
		t.Errorf("%d are missing, %v", len(gone), err)
	}
	changes, _, err := s.ListChanges(t.Context(), run.TaskID, query.Page{Limit: 250})
	if err != nil || len(changes) != n || !slices.IsSortedFunc(changes, func(a, b account.Changed) int { return strings.Compare(a.Key, b.Key) }) {
		t.Errorf("%d changes, %v", len(changes), err)
	}
}
