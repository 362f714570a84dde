package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/internal/query"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/task"
)

// TestOpenAtOnce starts many nodes on an empty schema: one makes the tables.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := Open(t.Context(), Options{URL: url, MaxConns: minConns})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	s := open(t, url)
	var n int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM stint_schema").Scan(&n); err != nil || n != latest() {
		t.Errorf("%d migrations were applied, %v; want %d", n, err, latest())
	}
}

// TestOpenRefuses leaves alone what it must not touch.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before string // Open, if "open"
		after  string
		url    func(string) string
		key    string
		want   error
		says   string
	}{
		"newer":        {before: "open", after: "INSERT INTO stint_schema (version, name) VALUES (99, 'later')", want: ErrNewer},
		"not ours":     {before: "CREATE TABLE tasks (id uuid)", want: ErrNotOurs},
		"another key":  {before: "open", key: "another", want: ErrOtherKey},
		"no schema":    {url: func(u string) string { return strings.Replace(u, "search_path=", "search_path=no_", 1) }, says: "search_path"},
		"no database":  {url: func(u string) string { return strings.Replace(u, "/postgres?", "/nowhere?", 1) }, says: "nowhere"},
		"no URL":       {url: func(string) string { return "postgres://me:secret@[" }, says: "the database"},
		"not UTF-8":    {before: "CREATE DATABASE narrow ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0", url: func(u string) string { return strings.Replace(u, "/postgres?", "/narrow?", 1) }, want: ErrEncoding},
		"half a table": {before: "CREATE TABLE history (id uuid)", says: "001_tasks.sql"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			switch test.before {
			case "":
			case "open":
				open(t, url)
			default:
				execute(t, url, test.before)
			}
			if test.after != "" {
				execute(t, url, test.after)
			}
			if test.url != nil {
				url = test.url(url)
			}
			s, err := Open(t.Context(), Options{URL: url, AuditKey: []byte(test.key)})
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			if test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %q", err)
			}
		})
	}
}

// TestAuditStays tries to change what stands in the audit.
func TestAuditStays(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	if err := create(t.Context(), s, 0); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "TRUNCATE audit",
	} {
		if _, err := s.pool.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// TestMigrateSearched gives tasks that are there what they are found by, read from
// JSON that the server itself refuses to read.
func TestMigrateSearched(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s := open(t, url)
	tasks := busy(2500)
	tasks[0].ID = task.ID(strings.Repeat("0", 32))
	tasks[2499].Target = &task.Target{ID: "T", Name: "Naïve"}
	tasks[2499].Attributes = map[string]json.RawMessage{"a": json.RawMessage(`"\u0000"`)}
	load(t, s, tasks)
	mustExec(t, s, `ALTER TABLE tasks DROP COLUMN unique_name, DROP COLUMN description, DROP COLUMN target_id, DROP COLUMN target_name,
		DROP COLUMN percent; DROP INDEX tasks_completed, tasks_duration, tasks_pair;
		DROP TABLE feed, feed_origin, webhooks, deliveries; DROP SEQUENCE feed_numbers -- of later versions`)
	mustExec(t, s, fmt.Sprintf("DELETE FROM stint_schema WHERE version >= %d", searchedVersion))
	s = open(t, url)
	for _, i := range []int{0, 1, 999, 1000, 2499} {
		rows, _, err := s.List(t.Context(), query.Page{
			Limit: 2, Filter: query.Compare{Field: query.FieldUniqueName, Values: []string{tasks[i].UniqueName}},
			Sort: []query.Sorter{{Field: query.FieldTargetName}},
		}, time.Time{})
		if err != nil || len(rows) != 1 || rows[0].ID != tasks[i].ID {
			t.Fatalf("%d by its name: %v, %v", i, rows, err)
		}
		if want := tasks[i].Target; want != nil && (rows[0].SortKey == nil || *rows[0].SortKey != task.LowerASCII(want.Name)) {
			t.Errorf("%d has the target %v", i, rows[0].SortKey)
		}
	}
}
