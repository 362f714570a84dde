package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stint/client"
	"stint/internal/account"
	"stint/internal/aggregation"
	"stint/internal/app"
	"stint/internal/audit"
	"stint/internal/auth"
	"stint/internal/config"
	"stint/internal/source"
	"stint/internal/store/postgres"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/store/sqlite"
	"stint/internal/store/storetest"
	"stint/internal/task"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// moving is a key file and the databases that were begun with it.
type moving struct {
	*testing.T
	keyFile string
	keys    *auth.Keyring
}

func newMoving(t *testing.T) moving {
	t.Helper()
	path := filepath.Join(t.TempDir(), "the.key")
	keys, err := auth.OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return moving{t, path, keys}
}

func (m moving) newFile() string   { return filepath.Join(m.TempDir(), "stint.db") }
func (m moving) newSchema() string { return pgtest.URL(m) }

// open opens a database as its server would.
func (m moving) open(db string) storetest.Store {
	m.Helper()
	var s storetest.Store
	var err error
	key := m.keys.Derive(auth.PurposeAudit)
	if config.IsPostgres(db) {
		s, err = postgres.Open(m.Context(), postgres.Options{URL: db, AuditKey: key})
	} else {
		s, err = sqlite.Open(m.Context(), sqlite.Options{Path: db, AuditKey: key})
	}
	if err != nil {
		m.Fatal(err)
	}
	return s
}

func (m moving) close(s storetest.Store) {
	m.Helper()
	if err := s.Close(); err != nil {
		m.Fatal(err)
	}
}

func (m moving) filled(db string) storetest.Everything {
	m.Helper()
	signer, err := audit.NewSigner(m.keys.Derive(auth.PurposeAuditHead))
	if err != nil {
		m.Fatal(err)
	}
	s := m.open(db)
	defer m.close(s)
	return storetest.Fill(m.T, s, signer)
}

func (m moving) export(db string) string {
	m.Helper()
	var out bytes.Buffer
	rows, err := app.ExportAll(m.Context(), db, &out, time.Now)
	if lines := bytes.Count(out.Bytes(), []byte("\n")); err != nil || rows.Total() != int64(lines)-2 {
		m.Fatalf("export %s: %d rows on %d lines, %v", db, rows.Total(), lines, err)
	}
	return out.String()
}

func (m moving) tryImport(db, keyFile, text string) error {
	m.Helper()
	_, err := app.ImportAll(m.Context(), app.ImportOptions{
		DB: db, KeyFile: keyFile, In: strings.NewReader(text), Name: "everything.ndjson", Actor: "tester",
		Now: func() time.Time { return time.UnixMilli(1_800_000_000_000) }, Hash: func() string { return "of it" },
	})
	return err
}

func (m moving) importInto(db, text string) {
	m.Helper()
	if err := m.tryImport(db, m.keyFile, text); err != nil {
		m.Fatalf("import into %s: %v", db, err)
	}
}

func (m moving) wantWhole(db string) {
	m.Helper()
	report, err := app.VerifyAudit(m.Context(), app.AuditOptions{DB: db, KeyFile: m.keyFile, Now: time.Now})
	if err != nil || !report.Whole() || report.Entries == 0 || report.Deleted == 0 {
		m.Errorf("the audit of %s: %+v, %v", db, report, err)
	}
}

// withoutFirst is a dump without its first line, which says when it was written.
func withoutFirst(text string) string {
	_, rest, _ := strings.Cut(text, "\n")
	return rest
}

// withoutImports takes out what imports add: their entries, the ends of the chains,
// and the last line, which counts all.
func withoutImports(text string) string {
	lines := strings.SplitAfter(withoutFirst(text), "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, `["audit_heads",`) || strings.HasPrefix(line, "{") ||
			strings.HasPrefix(line, `["audit",`) && strings.Contains(line, `"everything.ndjson"`)
	}), "")
}

// onlyIn counts the lines of a that b has not.
func onlyIn(a, b string) int {
	lines := map[string]bool{}
	for line := range strings.Lines(b) {
		lines[line] = true
	}
	n := 0
	for line := range strings.Lines(a) {
		if !lines[line] {
			n++
		}
	}
	return n
}

// TestMovesBetweenAllDatabases goes from each kind of database to each.
func TestMovesBetweenAllDatabases(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	at := m.newFile()
	full := m.filled(at)
	first := m.export(at)
	text := first
	for step, db := range []string{m.newSchema(), m.newSchema(), m.newFile(), m.newFile()} {
		m.importInto(db, text)
		m.wantWhole(db)
		text = m.export(db)
		if withoutImports(text) != withoutImports(first) {
			t.Fatalf("step %d: from %s to %s something is lost", step+1, at, db)
		}
		s := m.open(db)
		storetest.WantEverything(t, s, full)
		m.close(s)
		at = db
	}
	// What docs/OPERATIONS.md says that a comparison shows: the first line, the end of a
	// chain, the last line, and one entry more.
	last := m.newSchema()
	m.importInto(last, text)
	if before, after := onlyIn(text, m.export(last)), onlyIn(m.export(last), text); before != 3 || after != 4 {
		t.Errorf("%d lines are of the one alone, %d of the other; want 3 and 4", before, after)
	}
	// The same, in the other kind of database, is the same to the byte.
	here, there := m.newFile(), m.newSchema()
	m.importInto(here, first)
	m.importInto(there, first)
	if withoutFirst(m.export(here)) != withoutFirst(m.export(there)) {
		t.Error("one content is written in two ways")
	}
}

// TestNothingIsMovedHalf: what is refused leaves a database as it was, and the
// right dump and key can be given then.
func TestNothingIsMovedHalf(t *testing.T) {
	t.Parallel()
	m, other := newMoving(t), newMoving(t)
	from := m.newFile()
	m.filled(from)
	text := m.export(from)
	for _, db := range []string{m.newFile(), m.newSchema()} {
		for name, test := range map[string]struct{ keyFile, text, want string }{
			"cut off":       {m.keyFile, text[:len(text)-10], "the dump ends too early"},
			"without a row": {m.keyFile, strings.Replace(text, "[\"garbage\"", "\n", 1), "is empty"},
			"altered":       {m.keyFile, strings.Replace(text, `"SUCCESS"`, `"FAILURE"`, 1), "what was read is not what was written"},
			"no dump":       {m.keyFile, "{}\n", "this is no dump of Stint"},
			"nothing":       {m.keyFile, "", "the dump ends too early"},
			"another key":   {other.keyFile, text, "the key file is not that of the database that was exported"},
			"no key":        {filepath.Join(t.TempDir(), "no.key"), text, "that of the database that was exported moves with it"},
		} {
			if err := m.tryImport(db, test.keyFile, test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %s", name, err, test.want)
			}
			if _, err := os.Stat(test.keyFile); name == "no key" && err == nil {
				t.Error("a key file was made")
			}
		}
		m.importInto(db, text)
		if err := m.tryImport(db, m.keyFile, text); task.KindOf(err) != task.Conflict || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("once more: %v", err)
		}
		m.wantWhole(db)
	}
}

// TestNothingIsMovedIntoAServersDatabase, new as it may be.
func TestNothingIsMovedIntoAServersDatabase(t *testing.T) {
	t.Parallel()
	m := newMoving(t)
	from := m.newFile()
	m.filled(from)
	text := m.export(from)
	for want, db := range map[string]string{"is in use by another process": m.newFile(), "a server has the database open": m.newSchema()} {
		server := m.serve(db)
		if err := m.tryImport(db, m.keyFile, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("into %s: %v, want %s", db, err, want)
		}
		// What a server holds can be exported meanwhile.
		m.export(db)
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		m.importInto(db, text)
	}
}

// serve starts a server, which lives as long as the test, and returns it.
func (m moving) serve(db string) *app.App {
	m.Helper()
	return start(m, db, m.keyFile, func(c *config.Config) {
		c.InsecureNoAuth, c.Poll = true, config.Duration(20*time.Millisecond)
	})
}

// cutOff is a store whose first transaction of an attempt is its last.
type cutOff struct {
	storetest.Store
	stop context.CancelFunc
}

func (s cutOff) Work(
	ctx context.Context, id task.ID, attempt int, now time.Time, fn func(account.Work) (task.Report, error),
) (task.Task, error) {
	defer s.stop()
	return s.Store.Work(ctx, id, attempt, now, fn)
}

// TestAnAggregationGoesOnElsewhere moves one that is half done, from each kind of
// database to each.
func TestAnAggregationGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	for name, dbs := range map[string]func(m moving) (from, to string){
		"file to server":   func(m moving) (from, to string) { return m.newFile(), m.newSchema() },
		"server to file":   func(m moving) (from, to string) { return m.newSchema(), m.newFile() },
		"server to server": func(m moving) (from, to string) { return m.newSchema(), m.newSchema() },
		"file to file":     func(m moving) (from, to string) { return m.newFile(), m.newFile() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMoving(t)
			from, to := dbs(m)
			src, id := m.halfDone(from)
			m.importInto(to, m.export(from))
			c, err := client.New(m.serve(to).URL(), client.Options{})
			if err != nil {
				t.Fatal(err)
			}
			done, err := c.Wait(t.Context(), string(id), time.Minute)
			if err != nil || done.CompletionStatus != client.Success {
				t.Fatalf("it ends as %+v, %v", done, err)
			}
			if n, err := c.CountAccounts(t.Context(), fmt.Sprintf("sourceId eq %q", src)); err != nil || n != 3000 {
				t.Errorf("%d accounts, %v; want 3000", n, err)
			}
		})
	}
}

// halfDone begins an aggregation of 3000 accounts, whose first attempt ends after
// its first transaction.
func (m moving) halfDone(db string) (src, id task.ID) {
	m.Helper()
	s := m.open(db)
	defer m.close(s)
	of := source.Source{
		ID: "00000000000000000000000000000abc", Name: "HR", Type: source.DelimitedFile, Created: time.Now(), Modified: time.Now(),
		File: source.File{AccountID: "id", DisplayName: "name", MultiValueSeparator: ";", Delimiter: ","},
	}
	if err := s.CreateSource(m.Context(), of, audit.Entry{Object: string(of.ID)}); err != nil {
		m.Fatal(err)
	}
	var file strings.Builder
	file.WriteString("id,name\n")
	for i := range 3000 {
		fmt.Fprintf(&file, "a%04d,b%04d\n", i, i)
	}
	ctx, stop := context.WithCancel(m.Context())
	a := aggregation.New(aggregation.Options{Store: cutOff{s, stop}, Connector: app.DelimitedFiles(), Catalog: task.NewCatalog(), Now: time.Now})
	upload, err := a.Receive(m.Context(), of.ID, account.Accounts, strings.NewReader(file.String()))
	if err != nil {
		m.Fatal(err)
	}
	launched, err := a.Launch(m.Context(), account.Launch{SourceID: of.ID, Class: account.Accounts, Upload: upload},
		task.IdempotencyKey{}, audit.Origin{Actor: "tester"})
	if err != nil {
		m.Fatal(err)
	}
	if _, err := a.Execute(ctx, launched.Task); !errors.Is(err, context.Canceled) {
		m.Fatalf("the first attempt ended with %v", err)
	}
	// As a server's queue would have it, with a number that some other job may have.
	if _, err := s.Update(m.Context(), launched.Task.ID, time.Time{}, func(t task.Task) (audit.Change, error) {
		t.Job = 1
		return audit.Change{Change: task.Change{Task: t, Changed: true}}, nil
	}); err != nil {
		m.Fatal(err)
	}
	return of.ID, launched.Task.ID
}
