package pgtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/store/postgres/pgtest"
)

// dies, in the environment of a subprocess, has it die with a server running.
const dies = "STINT_TEST_DIES"

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestSchemasAreApart(t *testing.T) {
	t.Parallel()
	for range 2 {
		conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "CREATE TABLE tasks (id uuid)"); err != nil {
			t.Error(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestDies is a process that leaves a server behind, when it is asked for one.
func TestDies(t *testing.T) {
	if os.Getenv(dies) == "" {
		t.Skip("only TestNothingIsLeft runs it")
	}
	pgtest.URL(t)
	os.Exit(3)
}

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	// The server's user, who is another than root, has no way into t.TempDir.
	dir, err := os.MkdirTemp("/tmp", "pgtest-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDies$")
	cmd.Env = append(os.Environ(), dies+"=1", "TMPDIR="+dir)
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 3 {
		t.Fatalf("it did not die with a server running: %s", out)
	}
	// What removes it runs on its own.
	for end := time.Now().Add(30 * time.Second); ; {
		left, err := filepath.Glob(filepath.Join(dir, "stint-pg-*"))
		if err != nil {
			t.Fatal(err)
		}
		left = foldersOf(left)
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left behind: %v", left)
		}
		pause(t)
	}
}

// foldersOf leaves out what a process that was cut off wrote for itself.
func foldersOf(paths []string) []string {
	var folders []string
	for _, p := range paths {
		if !strings.HasSuffix(p, ".out") {
			folders = append(folders, p)
		}
	}
	return folders
}

func pause(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
