package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMoveEverything moves a database that a server has open into a new one.
func TestMoveEverything(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	id := e.launched()
	dir := t.TempDir()
	file, db, key := filepath.Join(dir, "everything.ndjson"), filepath.Join(dir, "new.db"), s.db+".key"
	_, stderr := e.run(0, "export", "--all", "--db", s.db, file)
	contains(t, stderr, "rows written, 1 of them tasks")
	if out, _ := e.run(0, "export", "--all", "--db", s.db); !strings.HasPrefix(out, `{"format":"stint dump"`) || !strings.Contains(out, id) {
		t.Errorf("on standard output: %.200s", out)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read what was exported: %v, %v", info.Mode(), err)
	}
	_, stderr = e.run(2, "import", "--all", "--db", db, file)
	contains(t, stderr, "the key file", "is missing", "--key-file", "nothing was stored")
	_, stderr = e.run(2, "import", "--all", "--replace", "--db", db, "--key-file", key, file)
	contains(t, stderr, "all", "replace")
	out, _ := e.run(0, "import", "--all", "--db", db, "--key-file", key, file)
	contains(t, out, "rows stored, 1 of them tasks (sha256 ")
	_, stderr = e.run(2, "import", "--all", "--db", db, "--key-file", key, file)
	contains(t, stderr, "not empty", "nothing was stored")
	_, stderr = e.run(2, "import", "--all", "--db", s.db, "--key-file", key, file)
	contains(t, stderr, "is in use by another process", "nothing was stored")
	out, _ = e.run(0, "audit", "verify", "--db", db, "--key-file", key)
	contains(t, out, "The audit is whole")
	out, _ = e.run(0, "export", "--db", db)
	contains(t, out, id)
	// A file of tasks is none of everything, nor the other way round.
	_, stderr = e.run(2, "import", "--db", filepath.Join(dir, "tasks.db"), file)
	contains(t, stderr, "line 1")
}
