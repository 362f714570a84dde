// Package secretfile reads files that hold secrets.
//
// It owns the rule about who else may be able to read them. It does not own what
// they hold.
package secretfile

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Read reads a file, unless others can read it, too: its mode is to be 0600 or less,
// or 0640 or less where it is root's and this process is not. The latter is how
// Kubernetes and systemd hand a secret to a service; PostgreSQL has the same rule.
//
// What is no regular file, like a pipe of the shell's, is nobody else's. The error
// wraps fs.ErrNotExist where there is no file.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := check(path, info, os.Geteuid()); err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // the path is the operator's own
}

// check refuses a file that others than user can read or write.
func check(path string, info fs.FileInfo, user int) error {
	mode := info.Mode()
	if !mode.IsRegular() || mode.Perm()&0o077 == 0 {
		return nil
	}
	if user != 0 && isRoots(info) && mode.Perm()&0o037 == 0 {
		return nil
	}
	return fmt.Errorf("%s has mode %04o: others can read it; chmod 600 it, or 640 where it is root's and this is not", path, mode.Perm())
}

func isRoots(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid == 0
}
