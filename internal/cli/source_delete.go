package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"stint/client"
)

func newSourceDeleteCommand(s *session, conn *connection) *cobra.Command {
	var yes bool
	var reason string
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "delete SOURCE",
		Short: "Delete a source with its accounts and entitlements",
		Long: "Delete a source with its accounts and entitlements. An aggregation in progress ends as TERMINATED. The\n" +
			"tasks of the source stay listed until their retention ends.\n\n" +
			"On a terminal it asks first; elsewhere it needs --yes.",
		Args:              oneSource,
		ValidArgsFunction: completeSources(s, conn),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			src, err := c.FindSource(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := s.confirmDeletion(cmd.Context(), src, yes); err != nil {
				return err
			}
			gone, err := c.DeleteSource(cmd.Context(), src.ID, reason)
			if err != nil {
				return err
			}
			return s.writeDeletion(gone, output.value)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the audit trail")
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

// confirmDeletion says what will be deleted and asks whether it may be.
func (s *session) confirmDeletion(ctx context.Context, src *client.Source, yes bool) error {
	what := fmt.Sprintf("Source %s (%s) with %s and %s; its tasks stay.", escapeLine(src.Name), escapeLine(src.ID),
		countedAs(src.AccountCount, "account"), countedAs(src.EntitlementCount, "entitlement"))
	if yes {
		_, err := io.WriteString(s.Err, what+"\n")
		return err
	}
	return s.confirm(ctx, what, "Delete it? [y/N] ", "nothing was deleted")
}

// confirm says what would be done and asks whether it may be; otherwise nothing is.
func (s *session) confirm(ctx context.Context, what, question, nothing string) error {
	if _, err := io.WriteString(s.Err, what+"\n"); err != nil {
		return err
	}
	in, ok := s.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || !isTerminal(s.Err) {
		return usagef("%s: nobody can be asked here; add --yes to do it", nothing)
	}
	if _, err := io.WriteString(s.Err, question); err != nil {
		return err
	}
	answer, err := readAnswer(ctx, in)
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return &exitCodeError{code: exitNegative, err: usagef("%s", nothing)}
}

// readAnswer reads a line, unless ctx ends first.
func readAnswer(ctx context.Context, in io.Reader) (string, error) {
	lines := make(chan string, 1)
	go func() { // it ends with the program where nobody answers
		line, _ := bufio.NewReader(in).ReadString('\n')
		lines <- line
	}()
	select {
	case line := <-lines:
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (s *session) writeDeletion(gone *client.SourceDeletion, format string) error {
	if format == "json" {
		return s.writeIndented(gone.Raw())
	}
	for _, id := range gone.TerminatedTasks {
		if err := s.println(id, string(client.Terminated)); err != nil {
			return err
		}
	}
	return s.println(gone.Text)
}
