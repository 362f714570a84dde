package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullDisk fills a real file system, where the test may make one.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m,mode=0700"); err != nil {
		t.Skipf("a file system cannot be made here (%v); TestFullFile fills a file", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	s := openAt(t, dir)
	if err := launch(t, s, 1<<30, 10); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, bytes.Repeat([]byte("x"), 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	stored := fill(t, s, 20_000)
	stored[1<<30] = true
	checkFull(t, s, stored)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 10; n++ {
		if err := launch(t, s, 1<<30+n, 6000); err != nil {
			t.Fatalf("with room again: %v", err)
		}
		stored[1<<30+n] = true
	}
	checkFull(t, s, stored)
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	// What was on disk is there for the next start.
	s = openAt(t, dir)
	checkFull(t, s, stored)
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
