package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"stint/internal/store/sqlite"
)

// TestReadOnlyDirectory opens as somebody who may not write there.
func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ro")
	path := filepath.Join(dir, "stint.db")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		// Root may write everywhere: this thread acts as nobody, and is not used again.
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			const nobody = 65534
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
				done <- errno
				return
			}
		}
		s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err == nil {
			_ = s.Close() // the test fails anyway
		}
		done <- err
	}()
	err := <-done
	if err == nil || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want a permission error with the path", err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files are left: %d", len(left))
	}
}
