package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

func testSigner(tb testing.TB) *audit.Signer {
	tb.Helper()
	signer, err := audit.NewSigner(make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// verdict verifies the chain of a store.
func verdict(tb testing.TB, s *Store, key []byte) audit.Verdict {
	tb.Helper()
	v := audit.NewVerifier(key, testSigner(tb).Public(), nil)
	if err := s.WalkAudit(tb.Context(), v.Begin, v.Entry); err != nil {
		tb.Fatal(err)
	}
	return v.End()
}

func addEntries(tb testing.TB, s *Store, entries ...audit.Entry) {
	tb.Helper()
	err := s.do(tb.Context(), "test", func(t *txn) error {
		for _, e := range entries {
			if err := t.addAudit(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// TestAuditPlans holds the statements of the audit against its indexes.
func TestAuditPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	one := func(f query.Field) query.Expr { return query.Compare{Field: f, Values: []string{"a"}} }
	several := func(f query.Field) query.Expr { return query.Compare{Field: f, Values: []string{"a", "b"}} }
	place := query.Compare{Field: query.FieldID, Values: []string{string(audit.Place{Shard: 1, Number: 2}.ID())}}
	since := query.Range{Field: query.FieldCreated, Order: query.NotLess, Value: "2026-11-24T00:00:00.000Z"}
	not := query.Not{Term: one(query.FieldAction)}
	and := func(terms ...query.Expr) query.Expr { return query.And{Terms: terms} }
	const get = "SEARCH audit USING INDEX audit_place (shard=? AND n=?)"
	for name, test := range map[string]struct {
		filter query.Expr
		want   string
		sorts  bool
	}{
		"all":                        {nil, "SCAN audit USING INDEX audit_created", false},
		"since":                      {since, "SEARCH audit USING INDEX audit_created (at>?)", false},
		"a negation":                 {not, "SCAN audit USING INDEX audit_created", false},
		"since, and a negation":      {and(since, not), "SEARCH audit USING INDEX audit_created (at>?)", false},
		"one thing or another":       {query.Or{Terms: []query.Expr{one(query.FieldObject), one(query.FieldActor)}}, "SCAN audit USING INDEX audit_created", false},
		"nothing":                    {query.Compare{Field: query.FieldObject}, "SCAN audit USING INDEX audit_created", false},
		"an id that is none":         {one(query.FieldID), "SCAN audit USING INDEX audit_created", false},
		"by id":                      {place, get, true},
		"by object":                  {one(query.FieldObject), "SEARCH audit USING INDEX audit_object (object=?)", false},
		"by objects":                 {several(query.FieldObject), "SEARCH audit USING INDEX audit_object (object=?)", true},
		"by request":                 {one(query.FieldRequest), "SEARCH audit USING INDEX audit_request (request_id=?)", false},
		"by client":                  {one(query.FieldClient), "SEARCH audit USING INDEX audit_client (client=?)", false},
		"by actor":                   {one(query.FieldActor), "SEARCH audit USING INDEX audit_actor (actor=?)", false},
		"by action":                  {one(query.FieldAction), "SEARCH audit USING INDEX audit_action (action=?)", false},
		"by actions since":           {and(several(query.FieldAction), since), "SEARCH audit USING INDEX audit_action (action=? AND at>?)", true},
		"by what is most selective":  {and(one(query.FieldAction), since, one(query.FieldObject)), "SEARCH audit USING INDEX audit_object (object=? AND at>?)", false},
		"by actor, of other actions": {and(one(query.FieldActor), not), "SEARCH audit USING INDEX audit_actor (actor=?)", false},
	} {
		page := query.Page{Limit: 10, Count: true, Filter: test.filter, Sort: []query.Sorter{{Field: query.FieldCreated, Desc: true}}}
		c := auditPage(query.Simplify(test.filter), page)
		steps := explain(t, s, c.sql)
		sorts := slices.ContainsFunc(steps, func(step string) bool { return strings.Contains(step, "TEMP B-TREE") })
		if !slices.Contains(steps, test.want) || sorts != test.sorts {
			t.Errorf("%s: the plan of %s is %q, want %q", name, c.sql, steps, test.want)
		}
		if _, _, err := s.ListAudit(t.Context(), page); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for text, want := range map[string]string{
		auditGetSQL:    get,
		auditObjectSQL: "SEARCH audit USING INDEX audit_place (shard=?)",
		auditWalkSQL:   "SCAN audit USING INDEX audit_place",
		auditPrefixSQL: "SEARCH audit USING INDEX audit_place (shard=?)",
		auditDeleteSQL: "SEARCH audit USING COVERING INDEX audit_place (shard=? AND n<?)",
		auditCountSQL:  "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)",
	} {
		if steps := explain(t, s, text); !slices.ContainsFunc(steps, func(step string) bool { return strings.HasPrefix(step, want) }) {
			t.Errorf("the plan of %s is %q, want %q", text, steps, want)
		}
	}
}

// TestAuditIsAppendOnly holds that nothing in the program can change or delete an
// entry.
func TestAuditIsAppendOnly(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	addEntries(t, s, audit.Entry{Object: "a"}, audit.Entry{Object: "a"})
	for _, text := range []string{
		"UPDATE audit SET reason = 'x'", "UPDATE audit SET n = n + 1", "DELETE FROM audit",
		"UPDATE OR REPLACE audit SET reason = 'x'",
		"INSERT INTO audit_checkpoints VALUES (15, 9, x'', 1, 1, x''); DELETE FROM audit",
	} {
		err := s.do(t.Context(), "test", func(t *txn) error { return t.exec(text) })
		if err == nil || !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "append-only") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if v := verdict(t, s, nil); !v.Whole() || v.Entries != 2 {
		t.Errorf("%+v", v)
	}
}

// TestAuditOfAlteredFile changes a file behind the store's back, in each way that
// the tables allow once the triggers are gone.
func TestAuditOfAlteredFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"UPDATE audit SET reason = 'x' WHERE n = 2",
		"UPDATE audit SET at = at + 1 WHERE n = 1",
		"UPDATE audit SET before = NULL WHERE n = 3",
		"UPDATE audit SET object = 'A' WHERE n = 1",
		"UPDATE audit SET link = x'00' WHERE n = 2",
		"UPDATE audit SET shard = shard + 1",
		"UPDATE audit SET shard = -1",
		"DELETE FROM audit WHERE n = 1",
		"DELETE FROM audit WHERE n = 3",
		"DELETE FROM audit",
		"INSERT INTO audit SELECT NULL, shard, n + 3, link, at, action, actor, client, address, agent, request_id, object, before, after, words, reason FROM audit",
		"DELETE FROM audit_heads",
		"UPDATE audit_heads SET link = x'00'",
		"UPDATE audit_heads SET n = n + 1",
		"INSERT INTO audit_checkpoints SELECT shard, n, link, 1, 1, x'00' FROM audit WHERE n = 3",
		"UPDATE settings SET value = x'3030' WHERE name = 'deployment'",
		"DELETE FROM settings WHERE name = 'audit_key_check'",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "stint.db")
			s, err := Open(t.Context(), Options{Path: path, AuditKey: []byte("k")})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			for range 3 {
				addEntries(t, s, audit.Entry{Object: "a", Before: []byte("{}")})
			}
			if v := verdict(t, s, []byte("k")); !v.Whole() {
				t.Fatalf("%+v", v)
			}
			alter(t, s, "DROP TRIGGER IF EXISTS audit_stays_as_it_is")
			alter(t, s, "DROP TRIGGER IF EXISTS audit_stays")
			alter(t, s, text)
			// Whoever alters it leaves no trace of how.
			schema, err := auditSchema()
			if err != nil {
				t.Fatal(err)
			}
			alter(t, s, schema["audit_stays_as_it_is"])
			alter(t, s, schema["audit_stays"])
			read, err := Open(t.Context(), Options{Path: path, ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = read.Close() }()
			if v := verdict(t, read, []byte("k")); v.Whole() {
				t.Error("nothing was found")
			}
		})
	}
}

// TestAuditOfAlteredTables alters what keeps the entries, so that some are hidden or
// swallowed while each that is there is as it was.
func TestAuditOfAlteredTables(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		texts []string
		says  string
	}{
		"a trigger that swallows entries": {[]string{
			`CREATE TRIGGER quiet BEFORE INSERT ON audit BEGIN SELECT RAISE(IGNORE); END`,
		}, `"quiet" was added`},
		"a trigger that keeps a head back": {[]string{
			`CREATE TRIGGER audit_x BEFORE UPDATE ON audit_heads BEGIN SELECT RAISE(IGNORE); END`,
		}, `"audit_x" was added`},
		"an index less":   {[]string{`DROP INDEX audit_action`}, `"audit_action", of the tables of the audit, was taken away`},
		"a trigger less":  {[]string{`DROP TRIGGER audit_stays`}, `"audit_stays", of the tables of the audit, was taken away`},
		"a partial index": {[]string{`DROP INDEX audit_created`, `CREATE INDEX audit_created ON audit (at, shard, n) WHERE n > 1`}, `"audit_created", of the tables of the audit, was altered`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "stint.db")
			s, err := Open(t.Context(), Options{Path: path, AuditKey: []byte("k")})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			addEntries(t, s, audit.Entry{Object: "a"}, audit.Entry{Object: "a"})
			for _, text := range test.texts {
				alter(t, s, text)
			}
			v := verdict(t, s, []byte("k"))
			if len(v.Findings) == 0 || !strings.Contains(v.Findings[0].String(), test.says) {
				t.Errorf("the findings are %v, want %q", v.Findings, test.says)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), Options{Path: path, AuditKey: []byte("k")}); !errors.Is(err, ErrAltered) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("opened for writing: %v, want ErrAltered and %q", err, test.says)
			}
		})
	}
}

// TestHiddenEntries hides an entry from an index whose text is what it was.
func TestHiddenEntries(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	addEntries(t, s, audit.Entry{Object: "a"}, audit.Entry{Object: "a"})
	schema, err := auditSchema()
	if err != nil {
		t.Fatal(err)
	}
	alter(t, s, "DROP INDEX audit_created")
	alter(t, s, "CREATE INDEX audit_created ON audit (at, shard, n) WHERE n > 1")
	alter(t, s, "PRAGMA writable_schema = 1")
	alter(t, s, "UPDATE sqlite_schema SET sql = '"+schema["audit_created"]+"' WHERE name = 'audit_created'")
	read, err := Open(t.Context(), Options{Path: s.path, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	v := verdict(t, read, nil)
	if len(v.Findings) == 0 || !strings.Contains(v.Findings[0].String(), "audit_created") {
		t.Errorf("the findings are %v, want that the index lacks an entry", v.Findings)
	}
}

// TestSwallowedEntries has a trigger added beneath a server that runs: what would
// leave no entry fails.
func TestSwallowedEntries(t *testing.T) {
	t.Parallel()
	for _, trigger := range []string{
		"CREATE TRIGGER quiet BEFORE INSERT ON audit BEGIN SELECT RAISE(IGNORE); END",
		"CREATE TRIGGER quiet BEFORE UPDATE ON audit_heads BEGIN SELECT RAISE(IGNORE); END",
	} {
		s := openTemp(t)
		alter(t, s, trigger)
		err := s.AddAudit(t.Context(), []audit.Entry{{Object: "a"}})
		if err == nil {
			t.Errorf("%s: nothing is said", trigger)
		}
	}
}

// alter changes a file as another program would.
func alter(tb testing.TB, s *Store, text string) {
	tb.Helper()
	if _, err := s.write.ExecContext(tb.Context(), text); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
}

// TestRetentionOfAlteredEntries makes entries look old that are not: none goes.
func TestRetentionOfAlteredEntries(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	addEntries(t, s, audit.Entry{Object: "a", At: now.AddDate(-2, 0, 0)}, audit.Entry{Object: "a", At: now}, audit.Entry{Object: "a", At: now})
	schema, err := auditSchema()
	if err != nil {
		t.Fatal(err)
	}
	purge := func() (int, error) {
		return s.PurgeAudit(t.Context(), now.AddDate(-1, 0, 0), 100, testSigner(t).SignCheckpoint)
	}
	// What is old goes, and what follows it still follows.
	if n, err := purge(); n != 1 || err != nil {
		t.Fatalf("%d deleted, %v; want 1", n, err)
	}
	alter(t, s, "DROP TRIGGER audit_stays_as_it_is")
	alter(t, s, "UPDATE audit SET at = 0 WHERE n = 2")
	alter(t, s, schema["audit_stays_as_it_is"])
	if n, err := purge(); n != 0 || err == nil {
		t.Errorf("%d deleted, %v; want none, and why", n, err)
	}
	v := verdict(t, s, nil)
	if v.Whole() || v.Entries != 2 {
		t.Errorf("%d entries, whole %t; want 2, and a finding", v.Entries, v.Whole())
	}
}

func TestOpenWithAnotherKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stint.db")
	for _, tc := range []struct {
		key  string
		want error
	}{{"k", nil}, {"k", nil}, {"other", ErrOtherKey}, {"", ErrOtherKey}, {"k", nil}} {
		s, err := Open(t.Context(), Options{Path: path, AuditKey: []byte(tc.key)})
		if !errors.Is(err, tc.want) || err != nil && !strings.Contains(err.Error(), path) {
			t.Fatalf("with the key %q: %v, want %v", tc.key, err, tc.want)
		}
		if err != nil {
			continue
		}
		addEntries(t, s, audit.Entry{Object: "a"})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), Options{Path: path, AuditKey: []byte("k")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if v := verdict(t, s, []byte("k")); !v.Whole() || v.Entries != 3 {
		t.Errorf("%+v", v)
	}
	if v := verdict(t, s, []byte("other")); v.Whole() {
		t.Error("verified with another key")
	}
	deployment, err := s.Setting(t.Context(), "deployment", []byte("x"))
	if _, ok := task.ParseID(string(deployment)); !ok || err != nil {
		t.Errorf("the deployment is %q, %v", deployment, err)
	}
}

// TestAuditOfMigratedFile holds that what was written before the chain is in it,
// and that nothing can be put before it later.
func TestAuditOfMigratedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stint.db")
	tasks := tasksEvery(50, time.Second)
	writeFirstVersion(t, path, tasks)
	old, err := Open(t.Context(), Options{Path: path, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	v := audit.NewVerifier(nil, testSigner(t).Public(), nil)
	if err := old.WalkAudit(t.Context(), v.Begin, v.Entry); task.KindOf(err) != task.Conflict {
		t.Errorf("the walk through an old file: %v", err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Path: path, AuditKey: []byte("k")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if v := verdict(t, s, []byte("k")); !v.Whole() || v.Entries != int64(len(tasks)) {
		t.Fatalf("%+v", v)
	}
	found, total, err := s.ListAudit(t.Context(), query.Page{Limit: 250, Count: true, Sort: []query.Sorter{{Field: query.FieldCreated}}})
	if err != nil || total != int64(len(tasks)) {
		t.Fatalf("%d, %v", total, err)
	}
	for i := range found {
		if found[i].Object != string(tasks[i].ID) || found[i].Action != audit.Launch || !found[i].At.Equal(tasks[i].Created) || found[i].Origin.Client != "" {
			t.Errorf("entry %d is %+v", i, found[i])
		}
	}
}

func BenchmarkAddAudit(b *testing.B) {
	s := openTemp(b)
	body := []byte(`{"text":"` + strings.Repeat("x", 1500) + `"}`)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		err := s.do(b.Context(), "bench", func(t *txn) error {
			for range 100 {
				n++
				e := audit.Entry{At: time.UnixMilli(int64(n)), Object: string(audit.Place{Number: int64(n)}.ID()), Before: body, After: body}
				if err := t.addAudit(e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/entry")
}
