package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeyFilePath(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	db, link := filepath.Join(dir, "stint.db"), filepath.Join(dir, "link.db")
	if err := os.WriteFile(db, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(db, link); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ db, keyFile, want string }{
		{db, "", db + ".key"},
		{link, "", db + ".key"},
		{filepath.Join(dir, "none.db"), "", filepath.Join(dir, "none.db.key")},
		{db, "other", "other"},
	} {
		if got := KeyFilePath(tc.db, tc.keyFile); got != tc.want {
			t.Errorf("KeyFilePath(%q, %q) is %q, want %q", tc.db, tc.keyFile, got, tc.want)
		}
	}
}
