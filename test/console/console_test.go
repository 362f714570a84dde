// Package console_test drives the web console of the built program with a browser.
package console_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The scenarios are Node.js programs: what drives browsers is at home there.
func TestConsole(t *testing.T) {
	if testing.Short() {
		t.Skip("these tests need what scripts/test-deps.sh installs, and minutes")
	}
	if _, err := os.Stat("../../internal/console/dist/index.html"); err != nil {
		t.Fatalf("%v: the console is not built: run make console", err)
	}
	binary := filepath.Join(t.TempDir(), "stint")
	run(t, exec.CommandContext(t.Context(), "go", "build", "-o", binary, "stint/cmd/stint"))
	// One file after the other: what each measures is a machine with little else to do.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "node", "--test", "--test-concurrency=1", "looks.test.mjs", "console.test.mjs")
	cmd.Env = append(os.Environ(), "STINT_BINARY="+binary)
	run(t, cmd)
}

func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	t.Logf("%s", out)
}
