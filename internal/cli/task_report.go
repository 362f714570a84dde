package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stint/client"
	"stint/internal/secretfile"
)

type reportFlags struct {
	attempt, percent        int
	sequence                int64
	tokenFile, token        string
	progress, status        string
	infos, warnings, failed []string
	attributes              []string
}

func newTaskReportCommand(s *session, conn *connection) *cobra.Command {
	f := &reportFlags{}
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "report [ID]",
		Short: "Report to a task: a heartbeat, progress, messages, or its end",
		Long: "Report to a task. Without anything to say it is a heartbeat. The id and --attempt default to\n" +
			"STINT_TASK_ID and STINT_TASK_ATTEMPT, which stint exec sets for its program, as it does STINT_REPORT_TOKEN.\n" +
			"That is not taken from the command line, where others could see it: without stint exec, name a file\n" +
			"that holds it with --token-file or STINT_REPORT_TOKEN_FILE.\n\n" +
			"Exit status: 0 if the report was taken, 1 if the program should stop (the task was cancelled, or\n" +
			"ended, or belongs to a later attempt), 2 if the report failed.",
		Example: "  stint task report --progress \"Reading users\" --percent 40 || exit\n" +
			"  stint task report 0190… --attempt 1 --token-file token --status SUCCESS",
		Args: taskIDs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := s.getenv("STINT_TASK_ID", "")
			if len(args) > 0 {
				id = args[0]
			}
			if id == "" {
				return usagef("which task? Give its id, or set STINT_TASK_ID")
			}
			report, err := f.report(s, cmd)
			if err != nil {
				return err
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			result, err := c.Report(cmd.Context(), id, f.token, report)
			return s.reported(result, err, output.value)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.attempt, "attempt", 0, "the attempt that reports (STINT_TASK_ATTEMPT, or 1)")
	flags.StringVar(&f.tokenFile, "token-file", "", "file of the report token, which others must not be able to read")
	_ = cmd.MarkFlagFilename("token-file")
	flags.Int64Var(&f.sequence, "sequence", 0, "a number that rises with each report; makes repeats harmless")
	flags.StringVar(&f.progress, "progress", "", "short text: where the work is")
	flags.IntVar(&f.percent, "percent", 0, "how much is done, 0 to 100")
	flags.StringArrayVar(&f.infos, "info", nil, "add an INFO message; repeatable")
	flags.StringArrayVar(&f.warnings, "warning", nil, "add a WARN message; repeatable")
	flags.StringArrayVar(&f.failed, "error", nil, "add an ERROR message; repeatable")
	flags.StringArrayVar(&f.attributes, "attribute", nil, "set an attribute: name=text, or name:=JSON; repeatable")
	flags.StringVar(&f.status, "status", "", "end the task: SUCCESS, WARNING, ERROR, TERMINATED or TEMPERROR")
	_ = cmd.RegisterFlagCompletionFunc("status", fixed(completionStatuses()...))
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

func (f *reportFlags) report(s *session, cmd *cobra.Command) (client.Report, error) {
	report := client.Report{Attempt: f.attempt, Sequence: f.sequence}
	var err error
	if f.token, err = f.reportToken(s); err != nil {
		return report, err
	}
	if report.Attempt == 0 {
		attempt, err := strconv.Atoi(s.getenv("STINT_TASK_ATTEMPT", "1"))
		if err != nil {
			return report, usagef("STINT_TASK_ATTEMPT is not a number: %w", err)
		}
		report.Attempt = attempt
	}
	if cmd.Flags().Changed("progress") {
		report.Progress = &f.progress
	}
	if cmd.Flags().Changed("percent") {
		report.PercentComplete = &f.percent
	}
	add := func(kind client.MessageType, texts []string) {
		for _, text := range texts {
			report.Messages = append(report.Messages, client.ReportMessage{Type: kind, Text: text})
		}
	}
	add(client.MessageInfo, f.infos)
	add(client.MessageWarn, f.warnings)
	add(client.MessageError, f.failed)
	if report.Attributes, err = assignments("attribute", f.attributes); err != nil {
		return report, err
	}
	if f.status != "" {
		report.CompletionStatus, err = parseStatus(f.status)
	}
	return report, err
}

func (f *reportFlags) reportToken(s *session) (string, error) {
	path := f.tokenFile
	if token := s.getenv("STINT_REPORT_TOKEN", ""); token != "" && path == "" {
		return token, nil
	}
	if path == "" {
		path = s.getenv("STINT_REPORT_TOKEN_FILE", "")
	}
	if path == "" {
		return "", usagef("the report token is required, as STINT_REPORT_TOKEN or in a file (--token-file); stint task launch -o json shows it")
	}
	text, err := secretfile.Read(path)
	if err != nil {
		return "", fmt.Errorf("the report token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (s *session) reported(result *client.ReportResult, err error, format string) error {
	if err != nil {
		if errors.Is(err, client.ErrStale) || errors.Is(err, client.ErrLate) {
			return &exitCodeError{code: exitNegative, err: err}
		}
		return err
	}
	if format == "json" {
		text, err := json.Marshal(result)
		if err != nil {
			return fmt.Errorf("encoding the answer: %w", err)
		}
		if err := s.writeIndented(text); err != nil {
			return err
		}
	}
	if !result.Stop {
		return nil
	}
	why := client.ErrStopRequested
	if result.Reason != nil && *result.Reason != "" {
		why = fmt.Errorf("%w: %s", why, *result.Reason)
	}
	return &exitCodeError{code: exitNegative, err: why}
}
