package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"stint/internal/task"
)

// A write to a file that was deleted would be answered and gone.
func TestRemovedFileIsNoticed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stint.db")
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Setting(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	aside := path + ".aside"
	if err := os.Rename(path, aside); err != nil {
		t.Fatal(err)
	}
	for _, replaced := range []bool{false, true} {
		if replaced {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Setting(t.Context(), "b", []byte("2")); task.KindOf(err) != task.Unavailable {
			t.Errorf("write, replaced %t: got %v, want Unavailable", replaced, err)
		}
		if err := s.Ping(t.Context()); task.KindOf(err) != task.Unavailable {
			t.Errorf("ping, replaced %t: got %v, want Unavailable", replaced, err)
		}
	}
	if err := os.Rename(aside, path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Setting(t.Context(), "b", []byte("2")); err != nil {
		t.Errorf("once the file is back: %v", err)
	}
}
