package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"stint/internal/execrun"
)

type execFlags struct {
	launchFlags
	grace, deliverTimeout time.Duration
	noOutput, flush       bool
	spool                 string
}

func newExecCommand(s *session) *cobra.Command {
	f, conn := &execFlags{}, &connection{}
	f.launcher = s.osUser()
	cmd := &cobra.Command{
		Use:   "exec --type TYPE [flags] -- PROGRAM [ARGUMENT...]",
		Short: "Run a program as a tracked task",
		Long: `Run a program as a tracked task: heartbeats, progress, how it ended, and the end of its
output if it failed. The program's input and output pass through; its exit status is that of
stint exec.

Lines of the program's output that begin so speak to the task and are taken out:
  ::progress 40 Reading users     progress; percent or text may be missing
  ::notice TEXT                   an INFO message
  ::warning TEXT                  a WARN message
  ::error TEXT                    an ERROR message
  ::attribute NAME=VALUE          an attribute (NAME:=JSON for a JSON value)

The task ends as SUCCESS for exit status 0 (WARNING if there were ::warning or ::error lines),
as TEMPERROR for 75, as ERROR for any other, for a signal, or if the program cannot be
started (127 not found, 126 not executable).

If the task is cancelled (it then ends as TERMINATED) or cleared, the program's process group
gets TERM, and KILL after --grace. INT, TERM, HUP and QUIT that stint exec gets are passed to
that group, USR1 and USR2 to the program alone.

If the server is away the program runs all the same. What could not be reported is kept in
the spool directory and delivered by the next stint exec, or by stint exec --flush. A server
that ran but could not be reached for longer than the heartbeat limit has ended the task as
TEMPERROR by then; the program runs on, and the task's history says how it ended.
The program finds its task in STINT_TASK_ID, STINT_TASK_ATTEMPT, STINT_REPORT_TOKEN and
STINT_URL; stint task report uses them.`,
		Example: "  stint exec --type IDENTITY_REFRESH --name nightly -- ./refresh.sh --all\n" +
			"  stint exec --flush",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.exec(cmd.Context(), f, conn, args)
		},
	}
	conn.addFlags(cmd.Flags())
	f.add(s, cmd, conn)
	flags := cmd.Flags()
	// What follows the program's name belongs to the program, with or without "--".
	flags.SetInterspersed(false)
	flags.DurationVar(&f.grace, "grace", 10*time.Second, "time between TERM and KILL when the task is cancelled")
	flags.DurationVar(&f.deliverTimeout, "deliver-timeout", 10*time.Second, "how long to try to report the end before it is kept in the spool")
	flags.BoolVar(&f.noOutput, "no-output", false, "do not put the end of a failed program's output into the task")
	flags.StringVar(&f.spool, "spool", s.defaultSpool(), "directory for what could not be reported (STINT_SPOOL)")
	flags.BoolVar(&f.flush, "flush", false, "deliver the spool and run nothing")
	return cmd
}

func (s *session) exec(ctx context.Context, f *execFlags, conn *connection, command []string) error {
	// The reporter has its own pace, and a spool that is delivered stops at the first failure.
	c, err := conn.client(s, -1)
	if err != nil {
		return err
	}
	if f.spool == "" {
		return usagef("no place for the spool: set --spool, STINT_SPOOL or HOME")
	}
	dir, err := filepath.Abs(f.spool)
	if err != nil {
		return usagef("--spool: %w", err)
	}
	spool := execrun.NewSpool(dir, s.now)
	say := func(text string) { _, _ = fmt.Fprintf(s.Err, "stint exec: %s\n", escapeLine(text)) }
	if f.flush {
		if len(command) > 0 {
			return usagef("--flush runs nothing: leave out %q", command[0])
		}
		result, err := spool.Flush(ctx, c, say)
		return s.flushed(spool, result, err)
	}
	if len(command) == 0 {
		return usagef("which program? stint exec --type TYPE -- PROGRAM [ARGUMENT...]")
	}
	launch, err := f.request()
	if err != nil {
		return err
	}
	signals, stop := programSignals()
	defer stop()
	code, err := execrun.Run(ctx, execrun.Options{
		Client: c, Launch: launch, Command: command, Env: s.environ,
		Stdin: s.In, Stdout: s.Out, Stderr: s.Err,
		Grace: f.grace, DeliverTimeout: f.deliverTimeout, KeepOutput: !f.noOutput,
		Spool: spool, Signals: signals, Now: s.now, Say: say,
	})
	if err != nil {
		return fmt.Errorf("%s was not run: %w", command[0], err)
	}
	if code == 0 {
		return nil
	}
	return &exitCodeError{code: code}
}

// flushed says what was delivered.
func (s *session) flushed(spool *execrun.Spool, result execrun.FlushResult, err error) error {
	if errors.Is(err, execrun.ErrFlushing) {
		return err
	}
	text := fmt.Sprintf("%d delivered, %d refused, %d left", result.Delivered, result.Refused, result.Left)
	if result.Elsewhere > 0 {
		text += fmt.Sprintf(", %d for another server", result.Elsewhere)
	}
	if result.Busy > 0 {
		text += fmt.Sprintf(", %d still running", result.Busy)
	}
	if _, printErr := fmt.Fprintln(s.Out, text); printErr != nil {
		return printErr
	}
	if err != nil {
		return fmt.Errorf("what is left stays in %s: %w", spool.Dir(), err)
	}
	return nil
}

// programSignals are the signals that the program gets. Those that stint was started to
// ignore (nohup) stay ignored, for the program too. A broken pipe is to be an error here, not
// the end: the program is told by its own broken pipe.
func programSignals() (<-chan os.Signal, func()) {
	passed := make(chan os.Signal, 16)
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2} {
		if !signal.Ignored(sig) {
			signal.Notify(passed, sig)
		}
	}
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	return passed, func() {
		signal.Stop(passed)
		signal.Stop(broken)
	}
}

// osUser is the launcher of a program that somebody runs.
func (s *session) osUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return s.getenv("USER", "")
}

func (s *session) defaultSpool() string {
	if dir := s.getenv("STINT_SPOOL", ""); dir != "" {
		return dir
	}
	state := s.getenv("XDG_STATE_HOME", "")
	if !filepath.IsAbs(state) {
		home := s.getenv("HOME", "")
		if home == "" {
			// As in a system service.
			u, err := user.Current()
			if err != nil || u.HomeDir == "" {
				return ""
			}
			home = u.HomeDir
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "stint", "spool")
}
