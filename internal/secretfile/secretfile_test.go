package secretfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// file is one of an owner that not every test may make.
type file struct {
	mode  fs.FileMode
	owner uint32
}

func (f file) Name() string       { return "secret" }
func (f file) Size() int64        { return 1 }
func (f file) Mode() fs.FileMode  { return f.mode }
func (f file) ModTime() time.Time { return time.Time{} }
func (f file) IsDir() bool        { return f.mode.IsDir() }
func (f file) Sys() any           { return &syscall.Stat_t{Uid: f.owner} }

func TestWhoElseMayRead(t *testing.T) {
	t.Parallel()
	const root, own, other = 0, 1000, 1001
	for _, test := range []struct {
		mode  fs.FileMode
		owner uint32
		user  int
		fine  bool
	}{
		{0o600, own, own, true},
		{0o400, own, own, true},
		{0o700, own, own, true},
		{0o640, own, own, false},
		{0o440, own, own, false},
		{0o604, own, own, false},
		{0o640, root, own, true},
		{0o440, root, own, true},
		{0o400, root, own, true},
		{0o660, root, own, false},
		{0o650, root, own, false},
		{0o644, root, own, false},
		{0o642, root, own, false},
		{0o641, root, own, false},
		{0o640, other, own, false},
		{0o600, root, root, true},
		{0o640, root, root, false},
		{0o644 | fs.ModeNamedPipe, own, own, true},
	} {
		err := check("secret", file{test.mode, test.owner}, test.user)
		if (err == nil) != test.fine {
			t.Errorf("mode %v of user %d, read by %d: %v", test.mode, test.owner, test.user, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "secret has mode 0") || !strings.Contains(err.Error(), "chmod 600")) {
			t.Errorf("mode %v: the error is %q", test.mode, err)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(path); err != nil || string(text) != "text" {
		t.Errorf("read %q, %v", text, err)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(path); err == nil || len(text) > 0 || strings.Contains(err.Error(), "text") {
		t.Errorf("readable by all: %q, %v", text, err)
	}
	// As Kubernetes mounts a secret; only root can make it.
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chmod(path, 0o440), os.Chown(path, 0, 1234)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(path, info, 1000); err != nil {
			t.Error(err)
		}
	}
}
