package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stint/internal/config"
)

// Exit codes of the command line.
const (
	exitOK          = 0   // done; for wait: SUCCESS or WARNING
	exitNegative    = 1   // the command worked, its answer is no (wait: the task did not succeed)
	exitError       = 2   // the command itself failed: usage, server away, refused
	exitInterrupted = 130 // ended by Ctrl-C or a termination signal, as a shell would say it
)

// Stdio is what a command reads from and writes to.
type Stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// session is what every command is built with: the outside world of one run.
type session struct {
	Stdio
	env map[string]string
	// environ is the environment as it was given, for programs that are started.
	environ []string
	now     func() time.Time
	local   *time.Location
}

// getenv is the value of an environment variable, or fallback where it is empty.
func (s *session) getenv(name, fallback string) string {
	if v := s.env[name]; v != "" {
		return v
	}
	return fallback
}

// exitCodeError carries an exit status out of a command. A nil err means that everything to
// say was said already.
type exitCodeError struct {
	code int
	err  error
}

func (e *exitCodeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitCodeError) Unwrap() error { return e.err }

// Run runs one command line (without the program's name) and returns the exit code.
func Run(ctx context.Context, args []string, stdio Stdio, environ []string) int {
	s := &session{Stdio: stdio, env: parseEnviron(environ), environ: environ, now: time.Now, local: time.Local}
	root := newRoot(s) //nolint:contextcheck // commands get the context when they run
	root.SetArgs(args)
	root.SetIn(stdio.In)
	root.SetOut(stdio.Out)
	root.SetErr(stdio.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitError
	var exit *exitCodeError
	if errors.As(err, &exit) {
		code = exit.code
		if exit.err == nil {
			return code
		}
	} else if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	_, _ = fmt.Fprintf(stdio.Err, "stint: %s\n", s.errorLine(err))
	return code
}

// commands lists every command, each made in its own file.
func commands(s *session) []*cobra.Command {
	return []*cobra.Command{
		newServeCommand(s),
		newTaskCommand(s),
		newStatsCommand(s),
		newSourceCommand(s),
		newWebhookCommand(s),
		newAccountCommand(s),
		newEntitlementCommand(s),
		newExecCommand(s),
		newAuditCommand(s),
		newTokenCommand(s),
		newAccessTokenCommand(s),
		newApplicationCommand(s),
		newKeysCommand(s),
		newImportCommand(s),
		newExportCommand(s),
		newVersionCommand(s),
	}
}

func newRoot(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "stint",
		Short: "Track background work: launch, watch, report, clear",
		Long: "Stint keeps a record of background work: what runs, how far it is, how it ended.\n\n" +
			"Commands that talk to a server find it by --url or STINT_URL, and sign in with STINT_CLIENT_ID and\n" +
			"STINT_CLIENT_SECRET (or STINT_CLIENT_SECRET_FILE), or with the profile file STINT_PROFILE, by default\n" +
			"~/.config/stint/profile.json: what stint token create -o json prints, and a url if you like.",
		Version:       config.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          showHelp,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w (see: %s --help)", err, cmd.CommandPath())
	})
	root.AddCommand(commands(s)...)
	return root
}

// showHelp is what a command does that has only subcommands.
func showHelp(cmd *cobra.Command, _ []string) error {
	return cmd.Help()
}

func parseEnviron(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	return env
}
