package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"stint/client"
	"stint/internal/config"
	"stint/internal/execrun"
)

const (
	defaultURL = "http://127.0.0.1:8080"
	// patience is how long a command tries again before it says that the server is away.
	patience = 2 * time.Second
)

// connection are the flags of a command that talks to a server.
type connection struct {
	url string
}

func (c *connection) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.url, "url", "", "the server (STINT_URL, or the profile's; else "+defaultURL+")")
}

// client makes a client for the server. A negative retryFor means one try per request.
func (c *connection) client(s *session, retryFor time.Duration) (*client.Client, error) {
	in, err := s.signIn()
	if err != nil {
		return nil, err
	}
	made, err := client.New(cmp.Or(c.url, in.url, defaultURL), client.Options{
		ClientID: in.id, ClientSecret: in.secret, Token: in.token,
		UserAgent: "stint/" + strings.ReplaceAll(config.Version(), " ", "_"),
		RetryFor:  retryFor,
		Now:       s.now,
	})
	if err != nil {
		return nil, fmt.Errorf("--url or STINT_URL: %w", err)
	}
	return made, nil
}

// terminalWidth is the width of the terminal that w is, or 0 where it is none.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

func isTerminal(w io.Writer) bool { return terminalWidth(w) > 0 }

// assignments reads repeated name=value and name:=JSON flags.
func assignments(flag string, given []string) (map[string]any, error) {
	if len(given) == 0 {
		return nil, nil //nolint:nilnil // no flag is no object, which is no error
	}
	object := make(map[string]any, len(given))
	for _, a := range given {
		name, value, ok := execrun.SplitAssignment(a)
		if !ok {
			return nil, usagef("--%s %q is not of the form name=text or name:=JSON", flag, a)
		}
		object[name] = value
	}
	return object, nil
}

// fixed completes a flag from a list.
func fixed(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

// outputFlag is the -o of a command, checked against what it offers.
type outputFlag struct {
	value   string
	allowed []string
}

func addOutputFlag(cmd *cobra.Command, initial string, allowed ...string) *outputFlag {
	o := &outputFlag{value: initial, allowed: allowed}
	cmd.Flags().VarP(o, "output", "o", "output format: "+strings.Join(allowed, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", fixed(allowed...))
	return o
}

func (o *outputFlag) String() string { return o.value }
func (o *outputFlag) Type() string   { return "format" }

// Set takes one of the allowed values.
func (o *outputFlag) Set(value string) error {
	for _, a := range o.allowed {
		if strings.EqualFold(a, value) {
			o.value = a
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", value, strings.Join(o.allowed, ", "))
}

// writeJSON prints JSON that came from a server. A terminal gets nothing that it would obey.
func (s *session) writeJSON(text []byte) error {
	if isTerminal(s.Out) {
		text = escapeJSON(text)
	}
	_, err := s.Out.Write(text)
	return err
}
