package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stint/client"
)

// waitPoll is the length of one question while waiting: short, so that the progress moves.
const waitPoll = time.Second

func newTaskWaitCommand(s *session, conn *connection) *cobra.Command {
	var timeout time.Duration
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "wait ID",
		Short: "Wait until a task ends",
		Long: "Wait until a task ends. The progress is shown on standard error.\n\n" +
			"Exit status: 0 if it ended with SUCCESS or WARNING, 1 if it ended otherwise, 2 if waiting failed\n" +
			"or the timeout was over first. A server that goes away meanwhile is waited for.",
		Args: taskIDs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			t, err := s.waitForTask(cmd.Context(), c, args[0], timeout)
			if err != nil {
				return err
			}
			if output.value == "json" {
				if err := s.writeIndented(t.Raw()); err != nil {
					return err
				}
			}
			return s.verdict(t)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time, 0 for never")
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

// verdict says how the task ended, and makes that the exit status.
func (s *session) verdict(t *client.Task) error {
	line := fmt.Sprintf("%s %s", t.ID, statusWord(t))
	if d, ok := s.taskDuration(t); ok {
		line += " after " + shortDuration(d)
	}
	_, _ = fmt.Fprintln(s.Err, escapeLine(line))
	if t.CompletionStatus == client.Success || t.CompletionStatus == client.Warning {
		return nil
	}
	for _, m := range t.Messages {
		if m.Type == client.MessageError {
			_, _ = fmt.Fprintf(s.Err, "  ERROR  %s\n", strings.ReplaceAll(escapeLines(strings.TrimSpace(m.LocalizedText.Message)), "\n", "\n         "))
		}
	}
	return &exitCodeError{code: exitNegative}
}

// waitForTask waits until the task is complete. Once it was seen, a server that is away is
// waited for as well.
func (s *session) waitForTask(ctx context.Context, c *client.Client, id string, timeout time.Duration) (*client.Task, error) {
	if timeout < 0 {
		return nil, usagef("--timeout %s: at least 0", timeout)
	}
	deadline := s.now().Add(timeout)
	show := &progressLine{s: s, width: terminalWidth(s.Err)}
	defer show.end()
	t, err := c.GetTask(ctx, id)
	if err != nil {
		return nil, err
	}
	for !t.Done() {
		show.task(t)
		poll := waitPoll
		if timeout > 0 {
			if poll = min(poll, deadline.Sub(s.now())); poll <= 0 {
				return nil, &exitCodeError{code: exitError, err: fmt.Errorf("task %s is still %s after %s", id, statusText(t), timeout)}
			}
		}
		next, err := c.Wait(ctx, id, poll)
		switch {
		case err == nil:
			t = next
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case serverAway(err):
			show.note("waiting for the server: " + err.Error())
		default:
			return nil, err
		}
	}
	return t, nil
}

// serverAway says that the server may come back.
func serverAway(err error) bool {
	var answer *client.Error
	return errors.Is(err, client.ErrUnreachable) || (errors.As(err, &answer) && (answer.Status >= 502 && answer.Status <= 504 || answer.Status == 429))
}

// progressLine shows a task's progress on standard error: a bar that is drawn over on a
// terminal, elsewhere a line for each change.
type progressLine struct {
	s     *session
	width int
	last  string
	drawn bool
}

const barWidth = 24

func (p *progressLine) task(t *client.Task) {
	if p.width == 0 {
		p.note(fmt.Sprintf("%s %s", t.ID, statusText(t)))
		return
	}
	line := bar(t.PercentComplete) + " " + statusText(t)
	if d, ok := p.s.taskDuration(t); ok {
		line += "  " + shortDuration(d)
	}
	p.draw(line)
}

// bar draws how far something is.
func bar(percent int) string {
	full := barWidth * min(max(percent, 0), 100) / 100
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "]"
}

// note prints a line unless it was the last one too.
func (p *progressLine) note(line string) {
	if p.width > 0 {
		p.draw(line)
		return
	}
	if line = escapeLine(line); line != p.last {
		_, _ = fmt.Fprintln(p.s.Err, line)
		p.last = line
	}
}

func (p *progressLine) draw(line string) {
	_, _ = fmt.Fprintf(p.s.Err, "\r%s\x1b[K", cutText(escapeLine(line), p.width-1))
	p.drawn = true
}

// end gives the terminal's line back.
func (p *progressLine) end() {
	if p.drawn {
		_, _ = fmt.Fprint(p.s.Err, "\r\x1b[K")
	}
}
