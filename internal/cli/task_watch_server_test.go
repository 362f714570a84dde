package cli_test

import (
	"bufio"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"stint/client"
)

// TestTaskWatch follows tasks over a kill of the server, until Ctrl-C.
func TestTaskWatch(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	watch := func(args ...string) (*exec.Cmd, *bufio.Scanner, *bufio.Scanner) {
		cmd := exec.CommandContext(t.Context(), path, append([]string{"task", "watch", "--url", s.url}, args...)...)
		cmd.Env = []string{"HOME=" + t.TempDir(), "TZ=UTC"}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		notes, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		return cmd, lines, bufio.NewScanner(notes)
	}
	line := func(of *bufio.Scanner, parts ...string) {
		t.Helper()
		if !of.Scan() {
			t.Fatalf("no line with %q: %v", parts, of.Err())
		}
		for _, part := range parts {
			if !strings.Contains(of.Text(), part) {
				t.Errorf("the line %q lacks %q", of.Text(), part)
			}
		}
	}
	people, lines, notes := watch()
	programs, bodies, more := watch("-o", "json", "--status", "ERROR")
	line(notes, "watching")
	line(more, "watching")
	c := s.client()
	launched, err := c.Launch(t.Context(), client.LaunchRequest{Type: "IDENTITY_REFRESH", UniqueName: "Night\x1b[31m"})
	if err != nil {
		t.Fatal(err)
	}
	line(lines, launched.ID, `Night\x1b[31m`, "queued")
	s.kill()
	line(notes, "waiting for the server: ")
	s.start()
	if _, err := c.Clear(t.Context(), launched.ID, client.ClearRequest{Status: client.Failure}); err != nil {
		t.Fatal(err)
	}
	line(lines, launched.ID, "ERROR after")
	line(bodies, `"id":"`+launched.ID+`"`, `"completionStatus":"ERROR"`)
	for _, cmd := range []*exec.Cmd{people, programs} {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
			t.Errorf("Ctrl-C ends it with %v", cmd.ProcessState)
		}
	}
	wrong, _, said := watch("--filter", "nonsense")
	line(said, "filters")
	if _ = wrong.Wait(); wrong.ProcessState.ExitCode() != 2 {
		t.Errorf("a wrong filter ends it with %v", wrong.ProcessState)
	}
}
