package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stint/client"
)

// maxShownChanges is how many changes an aggregation shows; stint task changes has all.
const maxShownChanges = 20

// aggregateFlags describe an aggregation, and what becomes of the command once it is launched.
type aggregateFlags struct {
	client.Aggregation
	noWait  bool
	timeout time.Duration
	output  *outputFlag
}

func newSourceAggregateCommand(s *session, conn *connection) *cobra.Command {
	f := &aggregateFlags{}
	cmd := &cobra.Command{
		Use:   "aggregate SOURCE [FILE]",
		Short: "Read a file of accounts into a source, and show what changed",
		Long: "Read a file of accounts, or of entitlements, into a source; FILE - is standard input. Without FILE,\n" +
			"--entitlements records the entitlements that the stored accounts hold. The progress is shown on standard\n" +
			"error, then what changed.\n\n" +
			"Exit status: 0 if it ended with SUCCESS or WARNING, 1 if it ended otherwise, 2 if it was not launched, waiting\n" +
			"failed or the timeout was over first. The aggregation goes on whatever becomes of this command.",
		Example: "  stint source aggregate HR accounts.csv\n" +
			"  hr-export | stint source aggregate HR - --allow-deletions 120\n" +
			"  stint source aggregate HR --entitlements",
		Args:              sourceAndFile,
		ValidArgsFunction: completeAggregate(s, conn),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args); err != nil {
				return err
			}
			return s.aggregate(cmd.Context(), conn, f, args)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.Entitlements, "entitlements", false, "aggregate entitlements, not accounts")
	flags.BoolVar(&f.DisableOptimization, "disable-optimization", false, "process unchanged ones too")
	flags.Int64Var(&f.AllowDeletions, "allow-deletions", 0, "let so many deletions pass, whatever the source's threshold")
	flags.StringVar(&f.UniqueName, "name", "", "name of the task")
	flags.StringVar(&f.Description, "description", "", "what it is for")
	flags.StringVar(&f.Launcher, "launcher", "", "who or what launches it")
	flags.StringVar(&f.IdempotencyKey, "idempotency-key", "", "launching again with the same key and file is harmless")
	flags.BoolVar(&f.noWait, "no-wait", false, "print the task's id once it is launched")
	flags.DurationVar(&f.timeout, "timeout", 0, "do not wait longer than this for its end, 0 for ever")
	f.output = addOutputFlag(cmd, "text", "text", "json", "id")
	return cmd
}

// sourceAndFile demands a source, as oneSource does, and perhaps a file.
func sourceAndFile(cmd *cobra.Command, args []string) error {
	if len(args) > 1 && args[1] == "" {
		return usagef("the name of the file is empty")
	}
	if len(args) == 2 {
		args = args[:1]
	}
	return oneSource(cmd, args)
}

// completeAggregate completes the source, then the file.
func completeAggregate(s *session, conn *connection) cobra.CompletionFunc {
	sources := completeSources(s, conn)
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return sources(cmd, args, begun)
	}
}

func (f *aggregateFlags) check(args []string) error {
	switch {
	case len(args) < 2 && !f.Entitlements:
		return usagef("which file? stint source aggregate SOURCE FILE; - is standard input")
	case f.AllowDeletions < 0:
		return usagef("--allow-deletions %d: at least 0", f.AllowDeletions)
	case f.timeout < 0:
		return usagef("--timeout %s: at least 0", f.timeout)
	}
	return nil
}

// aggregate launches an aggregation and, unless told otherwise, waits for its end and shows what
// it has changed.
func (s *session) aggregate(ctx context.Context, conn *connection, f *aggregateFlags, args []string) error {
	c, err := conn.client(s, patience)
	if err != nil {
		return err
	}
	if len(args) > 1 {
		in, err := s.openUpload(ctx, args[1])
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		f.File, f.FileName = in.Reader, in.name
	}
	src, err := c.FindSource(ctx, args[0])
	if err != nil {
		return err
	}
	f.SourceID = src.ID
	launched, err := s.launchAggregation(ctx, c, f)
	if err != nil {
		return err
	}
	if f.noWait || f.output.value == "id" {
		if err := s.showLaunched(launched, f); err != nil || (f.noWait && !launched.Done()) {
			return err
		}
	}
	t, err := s.waitForTask(ctx, c, launched.ID, f.timeout)
	if err != nil {
		if ctx.Err() != nil {
			_, _ = fmt.Fprintf(s.Err, "Task %s goes on. To wait for it: stint task wait %s; to stop it: stint task cancel %s\n",
				launched.ID, launched.ID, launched.ID)
		}
		return err
	}
	if !f.noWait {
		if err := s.showAggregated(ctx, c, t, f.output.value); err != nil {
			return err
		}
	}
	s.writeProblems(t)
	return s.verdict(t)
}

// launchAggregation sends the file, and shows how far that is.
func (s *session) launchAggregation(ctx context.Context, c *client.Client, f *aggregateFlags) (*client.Launched, error) {
	show := &uploadLine{progressLine: progressLine{s: s, width: terminalWidth(s.Err)}, name: f.FileName, shown: s.now()}
	f.Sent = show.sent
	launched, err := c.Aggregate(ctx, f.Aggregation)
	show.end()
	if err != nil {
		if ctx.Err() != nil {
			_, _ = fmt.Fprintln(s.Err, "Interrupted before the server had answered. Whether it was launched: stint task list --in-progress")
		}
		return nil, err
	}
	if launched.Replayed {
		_, _ = fmt.Fprintf(s.Err, "The key has launched task %s before.\n", launched.ID)
	}
	return launched, nil
}

func (s *session) showLaunched(launched *client.Launched, f *aggregateFlags) error {
	if f.output.value == "json" {
		return s.writeIndented(launched.Raw())
	}
	return s.println(launched.ID)
}

// showAggregated prints an aggregation that has ended.
func (s *session) showAggregated(ctx context.Context, c *client.Client, t *client.Task, format string) error {
	switch format {
	case "json":
		return s.writeIndented(t.Raw())
	case "id":
		return nil
	}
	page, err := c.ListChanges(ctx, t.ID, client.ListOptions{Limit: maxShownChanges, Count: true})
	if err != nil {
		return err
	}
	d := &strings.Builder{}
	if t.Progress != nil && *t.Progress != "" {
		d.WriteString(escapeLine(*t.Progress) + "\n")
	}
	for i := range page.Changes {
		d.WriteString("  " + escapeLine(changeText(&page.Changes[i])) + "\n")
	}
	if more := page.Total - len(page.Changes); more > 0 {
		fmt.Fprintf(d, "  and %d more: stint task changes %s\n", more, t.ID)
	}
	_, err = io.WriteString(s.Out, d.String())
	return err
}

// changeText is a change in one line.
func changeText(c *client.Change) string {
	text := c.Change + "  " + c.NativeIdentity
	if c.Attribute != "" {
		text = c.Change + "  " + c.Attribute + "=" + c.NativeIdentity
	}
	if c.Name != c.NativeIdentity {
		text += "  " + c.Name
	}
	if len(c.ChangedAttributes) > 0 {
		text += "  (" + strings.Join(c.ChangedAttributes, ", ") + ")"
	}
	return text
}

// writeProblems prints the warnings of a task, and the errors that verdict leaves out.
func (s *session) writeProblems(t *client.Task) {
	succeeded := t.CompletionStatus == client.Success || t.CompletionStatus == client.Warning
	for _, m := range t.Messages {
		if m.Type == client.MessageWarn || (m.Type == client.MessageError && succeeded) {
			text := strings.ReplaceAll(escapeLines(strings.TrimSpace(m.LocalizedText.Message)), "\n", "\n         ")
			_, _ = fmt.Fprintf(s.Err, "  %-5s  %s\n", m.Type, text)
		}
	}
}

// uploadFile is a file to upload.
type uploadFile struct {
	io.Reader
	io.Closer
	name string
}

// openUpload opens a file, or standard input for "-", and looks whether there is anything in it.
func (s *session) openUpload(ctx context.Context, path string) (*uploadFile, error) {
	if path == "-" {
		in := &uploadFile{Reader: s.In, Closer: io.NopCloser(nil), name: "standard input"}
		if f, ok := s.In.(*os.File); ok {
			if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
				return in, checkUpload(info, in.name)
			}
		}
		return in, in.peek(ctx)
	}
	f, err := os.Open(path) //nolint:gosec // the person's own file
	if err != nil {
		return nil, err
	}
	in := &uploadFile{Reader: f, Closer: f, name: filepath.Base(path)}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.Mode().IsRegular() || info.IsDir():
		err = checkUpload(info, path)
	default:
		err = in.peek(ctx)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return in, nil
}

func checkUpload(info os.FileInfo, name string) error {
	switch {
	case info.IsDir():
		return usagef("%s is a directory: give a file", name)
	case info.Size() == 0:
		return usagef("%s is empty: a header with the names of the columns is needed", name)
	}
	return nil
}

// peek waits for the first byte of what cannot tell its size.
func (u *uploadFile) peek(ctx context.Context) error {
	in := bufio.NewReaderSize(u.Reader, 64<<10)
	first := make(chan error, 1)
	go func() { // it ends with the program where nothing comes
		_, err := in.Peek(1)
		first <- err
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-first:
		u.Reader = in
		if errors.Is(err, io.EOF) {
			return usagef("%s is empty: a header with the names of the columns is needed", u.name)
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", u.name, err)
		}
		return nil
	}
}

// uploadLine shows how far an upload is: often on a terminal, elsewhere now and then.
type uploadLine struct {
	progressLine
	name  string
	shown time.Time
}

const (
	uploadRedraw = 100 * time.Millisecond
	uploadNote   = 5 * time.Second
)

// sent is called from another goroutine, but never after the upload.
func (u *uploadLine) sent(sent, total int64) {
	interval := uploadNote
	if u.width > 0 {
		interval = uploadRedraw
	}
	now := u.s.now()
	if now.Sub(u.shown) < interval {
		return
	}
	u.shown = now
	text := fmt.Sprintf("uploading %s: %s", u.name, shortSize(sent))
	if total >= 0 {
		text += " of " + shortSize(total)
	}
	if u.width > 0 && total > 0 {
		text = bar(int(100*float64(sent)/float64(total))) + " " + text
	}
	u.note(text)
}

// shortSize is a number of bytes for people.
func shortSize(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.bytes {
			return strconv.FormatFloat(float64(n)/float64(unit.bytes), 'f', 1, 64) + " " + unit.name
		}
	}
	return countedAs(n, "byte")
}
