package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

func open(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(tb.Context(), sqlite.Options{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func closeStore(tb testing.TB, s *sqlite.Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

func launch(ctx context.Context, s *sqlite.Store, n int) error {
	definition, _ := task.NewCatalog().Lookup("IDENTITY_REFRESH")
	c, err := task.NewTask(task.ID(fmt.Sprintf("%032x", n)), task.Launch{Definition: definition}, "t", time.UnixMilli(int64(1<<40+n)))
	if err != nil {
		return err
	}
	_, _, err = s.Create(ctx, c, task.IdempotencyKey{}, audit.Entry{})
	return err
}

func mustLaunch(tb testing.TB, s *sqlite.Store, n int) {
	tb.Helper()
	if err := launch(tb.Context(), s, n); err != nil {
		tb.Fatal(err)
	}
}

// script runs SQL on a file with the plain driver.
func script(tb testing.TB, path, text string) {
	tb.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(tb.Context(), text); err != nil {
		tb.Fatal(err)
	}
}

// files returns what is in a directory, without lock files.
func files(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".lock") || e.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		all[e.Name()] = string(content)
	}
	return all
}

// TestOpenRefuses has files that are not ours: each is refused with its reason
// and left as it was, byte for byte.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	whole := func(text string) func([]byte) string { return func([]byte) string { return text } }
	for name, test := range map[string]struct {
		ours    bool                // a database of ours to begin with
		sql     string              // run on it
		content func([]byte) string // written over it
		want    error
	}{
		"a short text":         {content: whole("hello"), want: sqlite.ErrNotADatabase},
		"a long text":          {content: whole(strings.Repeat("hello ", 1000)), want: sqlite.ErrNotADatabase},
		"a header and rubbish": {content: whole("SQLite format 3\x00" + strings.Repeat("\x17", 8000)), want: sqlite.ErrNotOurs},
		"a header, ours, and rubbish": {
			ours: true, content: func(b []byte) string { return string(b[:16]) + "\xff\xff\x09\x09" + string(b[20:]) }, want: sqlite.ErrNotADatabase,
		},
		"another program's database":     {sql: "CREATE TABLE t (a)", want: sqlite.ErrNotOurs},
		"another program's, in WAL mode": {sql: "PRAGMA journal_mode=WAL; CREATE TABLE t (a)", want: sqlite.ErrNotOurs},
		"another program's, marked":      {sql: "PRAGMA application_id=1; CREATE TABLE t (a)", want: sqlite.ErrNotOurs},
		"a newer version's":              {ours: true, sql: "PRAGMA user_version=99; PRAGMA wal_checkpoint(TRUNCATE)", want: sqlite.ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "stint.db")
			if test.ours {
				closeStore(t, open(t, path))
			}
			if test.sql != "" {
				script(t, path, test.sql)
			}
			if test.content != nil {
				write(t, path, test.content([]byte(files(t, filepath.Dir(path))["stint.db"])))
			}
			before := files(t, filepath.Dir(path))
			for _, readOnly := range []bool{false, true} {
				s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, ReadOnly: readOnly})
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("read only %v: got %v, want %v and the path", readOnly, err, test.want)
				}
				if err == nil {
					closeStore(t, s)
				}
			}
			after := files(t, filepath.Dir(path))
			for name := range after {
				if after[name] != before[name] {
					t.Errorf("%s is another file now: %d bytes, were %d", name, len(after[name]), len(before[name]))
				}
			}
			if len(after) != len(before) {
				t.Errorf("there are %d files, were %d", len(after), len(before))
			}
			// The refusal has let go of the lock.
			if test.ours && test.sql != "" {
				known, err := filepath.Glob("migrations/*.sql")
				if err != nil {
					t.Fatal(err)
				}
				script(t, path, fmt.Sprintf("PRAGMA user_version=%d", len(known))) // as it was
				closeStore(t, open(t, path))
			}
		})
	}
}

func write(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func TestOpenWithoutAPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, path := range map[string]string{
		"a directory": dir, "in a directory that is not there": filepath.Join(dir, "no", "stint.db"), "under a file": filepath.Join(dir, "file", "x"),
	} {
		write(t, filepath.Join(dir, "file"), "")
		if s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				closeStore(t, s)
			}
		}
	}
	missing := filepath.Join(dir, "missing.db")
	if _, err := sqlite.Open(t.Context(), sqlite.Options{Path: missing, ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there, for reading: %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("opening for reading made the file")
	}
}

// TestOpenMakes has paths that mean something in a URL, and an empty file.
func TestOpenMakes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"stint.db", "with space.db", "100%.db", "a?b=c#d&e.db", "%41.db", "ü'\"日本.db", "file:x.db", "-x.db", ":memory:"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			if name == "-x.db" {
				write(t, path, "")
			}
			s := open(t, path)
			mustLaunch(t, s, 1)
			closeStore(t, s)
			found := files(t, dir)
			if len(found) != 1 || len(found[name]) < 4096 {
				t.Errorf("there are other files than the database: %d, it has %d bytes", len(found), len(found[name]))
			}
			s = open(t, path)
			if _, err := s.Get(t.Context(), task.ID(fmt.Sprintf("%032x", 1)), time.Time{}); err != nil {
				t.Errorf("opened again: %v", err)
			}
			closeStore(t, s)
		})
	}
}

func TestFileModes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "stint.db"))
	defer closeStore(t, s)
	mustLaunch(t, s, 1)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", e.Name(), info.Mode().Perm())
		}
	}
	if want := "stint.db stint.db-shm stint.db-wal stint.db.lock"; strings.Join(names, " ") != want {
		t.Errorf("the files are %q, want %q", names, want)
	}
}

// TestOpenAgain migrates twice: the second time changes nothing.
func TestOpenAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stint.db")
	s := open(t, path)
	mustLaunch(t, s, 1)
	closeStore(t, s)
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		closeStore(t, open(t, path))
	}
	again, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, again) {
		t.Error("opening and closing changed the file")
	}
}

const holdFile = "STINT_TEST_HOLD_FILE"

// TestHold holds a file open until its input ends, for TestInUse.
func TestHold(t *testing.T) {
	path := os.Getenv(holdFile)
	if path == "" {
		t.Skip("only TestInUse runs it")
	}
	s := open(t, path)
	mustLaunch(t, s, 1)
	fmt.Println("holding")
	_, _ = os.Stdin.Read(make([]byte, 1))
	t.Fatal("the parent did not kill this process")
}

// TestInUse has another process hold the file: a second one may read and not
// write, and takes over what a killed one left.
func TestInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stint.db")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHold$")
	cmd.Env = append(os.Environ(), holdFile+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if said := make([]byte, 7); true {
		if _, err := out.Read(said); err != nil || string(said) != "holding" {
			t.Fatalf("it says %q, %v", said, err)
		}
	}
	before := files(t, filepath.Dir(path))
	if _, err := sqlite.Open(t.Context(), sqlite.Options{Path: path}); !errors.Is(err, sqlite.ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second writer: %v", err)
	}
	if after := files(t, filepath.Dir(path)); after["stint.db"] != before["stint.db"] || after["stint.db-wal"] != before["stint.db-wal"] {
		t.Error("the refused writer changed the file")
	}
	reader, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, ReadOnly: true})
	if err != nil {
		t.Fatalf("a reader: %v", err)
	}
	id := task.ID(fmt.Sprintf("%032x", 1))
	if _, err := reader.Get(t.Context(), id, time.Time{}); err != nil {
		t.Errorf("a reader reads: %v", err)
	}
	if err := launch(t.Context(), reader, 2); err == nil {
		t.Error("a reader writes")
	}
	closeStore(t, reader)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	s := open(t, path)
	defer closeStore(t, s)
	if _, err := s.Get(t.Context(), id, time.Time{}); err != nil {
		t.Errorf("what the killed one wrote: %v", err)
	}
	mustLaunch(t, s, 2)
	// Two stores of one process exclude each other too.
	if _, err := sqlite.Open(t.Context(), sqlite.Options{Path: path}); !errors.Is(err, sqlite.ErrInUse) {
		t.Errorf("a second writer in this process: %v", err)
	}
}

// TestOpenAfterACrash opens copies of the files as they stand while a store
// writes: every answered write is in every later copy.
func TestOpenAfterACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "stint.db"))
	defer closeStore(t, s)
	for n := range 20 {
		mustLaunch(t, s, n)
		left := t.TempDir()
		for name, content := range files(t, dir) {
			if !strings.HasSuffix(name, "-shm") { // the kernel's, gone with the machine
				write(t, filepath.Join(left, name), content)
			}
		}
		again := open(t, filepath.Join(left, "stint.db"))
		for i := range n + 1 {
			if _, err := again.Get(t.Context(), task.ID(fmt.Sprintf("%032x", i)), time.Time{}); err != nil {
				t.Errorf("after %d writes: %v", n+1, err)
			}
		}
		closeStore(t, again)
	}
}
