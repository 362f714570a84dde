package cli_test

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to alter the file behind the program's back
)

// alter changes a database as somebody would who has the file and not the key.
func alter(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	// Whoever alters the audit puts the triggers back.
	texts := append([]string{"DROP TRIGGER audit_stays_as_it_is", "DROP TRIGGER audit_stays"}, statements...)
	for _, name := range []string{"audit_stays_as_it_is", "audit_stays"} {
		var trigger string
		if err := db.QueryRowContext(t.Context(), "SELECT sql FROM sqlite_schema WHERE name = ?", name).Scan(&trigger); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, trigger)
	}
	for _, text := range texts {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

// launched launches a task and returns its id.
func (e *env) launched() string {
	e.t.Helper()
	out, _ := e.run(0, "task", "launch", "--type", "IDENTITY_REFRESH", "-o", "json")
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.ID == "" {
		e.t.Fatalf("%v: %s", err, out)
	}
	return made.ID
}

func TestAuditHeadAndVerify(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	id := e.launched()
	e.run(0, "task", "clear", id, "--status", "TERMINATED", "--reason", "its worker is gone")

	// While the server runs.
	out, _ := e.run(0, "audit", "verify", "--db", s.db)
	contains(t, out, "whole", "Without a head")
	head := filepath.Join(t.TempDir(), "head.json")
	_, stderr := e.run(0, "audit", "head", "--db", s.db, head)
	contains(t, stderr, "public key")
	if _, stderr = e.run(2, "audit", "head", "--db", s.db, head); !strings.Contains(stderr, "exists") {
		t.Errorf("a head that is there: %s", stderr)
	}
	out, stderr = e.run(0, "audit", "head", "--db", s.db)
	var written struct {
		Format, PublicKey string
		Entries           int
	}
	if err := json.Unmarshal([]byte(out), &written); err != nil || written.Format != "stint-audit-head-1" || written.Entries < 2 || !strings.Contains(stderr, written.PublicKey) {
		t.Fatalf("%v: %s%s", err, out, stderr)
	}
	e.run(0, "task", "launch", "--type", "IDENTITY_REFRESH")
	out, _ = e.run(0, "audit", "verify", "--db", s.db, "--head", head)
	contains(t, out, "whole", "1 since")
	s.stop()

	whole, err := os.ReadFile(s.db)
	if err != nil {
		t.Fatal(err)
	}
	restore := func() {
		t.Helper()
		for _, more := range []string{"-wal", "-shm"} {
			_ = os.Remove(s.db + more)
		}
		if err := os.WriteFile(s.db, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	alter(t, s.db, "UPDATE audit SET reason = 'x' || char(27) || '[2J', actor = 'nobody' WHERE action = 'task.clear'")
	out, _ = e.run(1, "audit", "verify", "--db", s.db)
	contains(t, out, "ALTERED", "1 finding", "task.clear of "+id+" by nobody", "not what was written")
	if strings.Contains(out, "\x1b") {
		t.Errorf("a terminal would obey this: %q", out)
	}
	out, _ = e.run(1, "audit", "verify", "--db", s.db, "--head", head, "-o", "json")
	var verdict struct {
		Whole    bool
		Wrong    int
		Findings []struct{ ID, Where, What string }
	}
	if err := json.Unmarshal([]byte(out), &verdict); err != nil || verdict.Whole || verdict.Wrong != 1 || len(verdict.Findings) != 1 || len(verdict.Findings[0].ID) != 32 {
		t.Errorf("%v: %s", err, out)
	}
	none := filepath.Join(t.TempDir(), "none.head")
	_, stderr = e.run(1, "audit", "head", "--db", s.db, none)
	contains(t, stderr, "ALTERED")
	if _, err := os.Stat(none); err == nil {
		t.Error("an altered audit has a head")
	}

	// The end is cut off: only a head tells.
	restore()
	alter(t, s.db, "CREATE TEMP TABLE keep AS SELECT 1; DELETE FROM audit WHERE action = 'task.clear'",
		"UPDATE audit_heads SET n = 1, link = (SELECT link FROM audit a WHERE a.shard = audit_heads.shard AND a.n = 1) "+
			"WHERE shard IN (SELECT shard FROM audit WHERE object = '"+id+"')")
	e.run(0, "audit", "verify", "--db", s.db)
	out, _ = e.run(1, "audit", "verify", "--db", s.db, "--head", head)
	contains(t, out, "ALTERED", "1 entry is missing from here on that the head knew")

	// What cannot be verified is told from what was altered.
	restore()
	for name, args := range map[string][]string{
		"no database":  {"--db", s.db + ".none"},
		"no key file":  {"--db", s.db, "--key-file", s.db + ".none"},
		"no head":      {"--db", s.db, "--head", s.db + ".none"},
		"another head": {"--db", s.db, "--head", s.db},
		"arguments":    {"--db", s.db, "x"},
	} {
		if _, stderr := e.run(2, append([]string{"audit", "verify"}, args...)...); stderr == "" {
			t.Errorf("%s: it says nothing", name)
		}
	}
	if err := os.Rename(s.db+".key", s.db+".aside"); err != nil {
		t.Fatal(err)
	}
	e.run(2, "audit", "verify", "--db", s.db)
	if _, err := os.Stat(s.db + ".key"); err == nil {
		t.Error("verify made a key file")
	}
	out, _ = e.run(0, "audit", "verify", "--db", s.db, "--key-file", s.db+".aside", "--head", head)
	contains(t, out, "whole")
	// Another key.
	other := startServer(t)
	_, stderr = e.run(2, "audit", "verify", "--db", s.db, "--key-file", other.db+".key")
	contains(t, stderr, "is not the one")
}

func TestAuditOfAnImport(t *testing.T) {
	t.Parallel()
	e := newEnv(t, newServer(t))
	dir := t.TempDir()
	db, file := filepath.Join(dir, "stint.db"), filepath.Join(dir, "none.ndjson")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e.run(0, "import", "--db", db, file)
	e.run(0, "import", "--db", db, file)
	out, _ := e.run(0, "audit", "verify", "--db", db)
	contains(t, out, "whole: 2 entries")
	if err := os.Remove(db + ".key"); err != nil {
		t.Fatal(err)
	}
	// The chain goes on under its own key only, and no other takes its place.
	_, stderr := e.run(2, "import", "--db", db, file)
	contains(t, stderr, "key file", "is missing")
	e.run(2, "token", "create", "--db", db, "--user", "ann", "--level", "HELPDESK")
	if _, err := os.Stat(db + ".key"); err == nil {
		t.Error("another key file was made")
	}
}

func TestAuditReport(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	one, other := e.launched(), e.launched()
	e.run(0, "task", "clear", one, "--status", "ERROR", "--reason", "its <worker> is göne")
	e.run(0, "task", "cancel", other, "--reason", "mistake")
	out, _ := e.run(0, "source", "create", "HR", "--account-id", "id")
	src := strings.TrimSpace(out)
	e.run(0, "source", "delete", "HR", "--yes", "--reason", "moved")

	out, _ = e.run(0, "audit", "report")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	var got []string
	for _, line := range lines {
		cells := strings.Split(line, "\t")
		if len(cells) != 10 {
			t.Fatalf("%d cells: %q", len(cells), line)
		}
		got = append(got, strings.Join(cells[2:6], " | "))
	}
	want := []string{
		"cleared as ERROR | Identity Refresh | " + one + " | its <worker> is göne", "cancelled | Identity Refresh | " + other + " | mistake",
		"created the source | HR | " + src + " | ", "deleted the source | HR | " + src + " | moved",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	out, _ = e.run(0, "audit", "report", "--all", "--since", "1h", "--object", one, "-o", "json")
	var report []struct{ Action, What, Actor, EntryID string }
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report) != 2 || report[0].Action != "task.launch" || report[1].What != "cleared as ERROR" || report[1].Actor == "" {
		t.Fatalf("%v: %s", err, out)
	}
	if out, _ = e.run(0, "audit", "report", "--until", "1h"); out != "" {
		t.Errorf("before there was anything: %q", out)
	}
	if out, _ = e.run(0, "audit", "list", "--action", "task.clear,task.cancel", "-o", "id"); len(strings.Fields(out)) != 2 || !strings.Contains(out, report[1].EntryID) {
		t.Errorf("listed %q", out)
	}
	out, _ = e.run(0, "audit", "list", "--filter", `requestId eq "x" or action eq task.clear`, "--limit", "1")
	if cells := strings.Split(strings.TrimSuffix(out, "\n"), "\t"); len(cells) != 10 || cells[3] != "task.clear" || cells[4] != one {
		t.Errorf("listed %q", out)
	}
	for _, args := range [][]string{{"list", "--since", "soon"}, {"list", "--limit", "-1"}, {"report", "--until", "x"}, {"list", "--action", "task.clean"}} {
		if _, stderr := e.run(2, append([]string{"audit"}, args...)...); stderr == "" {
			t.Errorf("%v: it says nothing", args)
		}
	}
}
