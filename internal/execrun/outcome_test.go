package execrun

import (
	"errors"
	"syscall"
	"testing"

	"stint/client"
)

func TestOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome    outcome
		complained bool
		exit       int
		status     client.CompletionStatus
		text       string
	}{
		"success":     {outcome{}, false, 0, client.Success, "p ended with exit status 0."},
		"complained":  {outcome{}, true, 0, client.Warning, "p ended with exit status 0."},
		"failed":      {outcome{code: 3}, true, 3, client.Failure, "p ended with exit status 3."},
		"for now":     {outcome{code: 75}, false, 75, client.TempError, "p ended with exit status 75 (failed for now)."},
		"killed":      {outcome{signal: syscall.SIGKILL}, false, 137, client.Failure, "p was killed by SIGKILL."},
		"not started": {outcome{code: 127, startErr: errors.New("no p")}, false, 127, client.Failure, "no p"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.outcome.exitStatus(); got != c.exit {
				t.Errorf("exit status %d, want %d", got, c.exit)
			}
			if got := c.outcome.completion(c.complained); got != c.status {
				t.Errorf("completion %s, want %s", got, c.status)
			}
			if got := c.outcome.text("p"); got != c.text {
				t.Errorf("text %q, want %q", got, c.text)
			}
		})
	}
}
