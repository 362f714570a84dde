//go:build unix

package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// unprivileged makes a command one that the server allows: it refuses to run as
// root. The command gets none of the settings that PostgreSQL's programs read
// from the environment, and no signal that is meant for the tests.
func unprivileged(cmd *exec.Cmd) {
	cmd.Env = []string{"LC_ALL=C.UTF-8"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "LC_") && !strings.HasPrefix(v, "LANG") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if uid, gid, err := nobody(); err == nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid, NoSetGroups: false}
	}
}

// giveAway gives a folder to whoever runs the server.
func giveAway(dir string) error {
	uid, gid, err := nobody()
	if errors.Is(err, errNotRoot) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chown(dir, int(uid), int(gid))
}

var errNotRoot = errors.New("this is not root")

// nobody returns whom root runs the server as.
func nobody() (uid, gid uint32, err error) {
	if os.Geteuid() != 0 {
		return 0, 0, errNotRoot
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, lookup := user.Lookup(name)
		if lookup != nil {
			err = lookup
			continue
		}
		id, bad := strconv.ParseUint(u.Uid, 10, 32)
		group, badGroup := strconv.ParseUint(u.Gid, 10, 32)
		return uint32(id), uint32(group), errors.Join(bad, badGroup)
	}
	return 0, 0, err
}
