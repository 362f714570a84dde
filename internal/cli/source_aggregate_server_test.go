package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"stint/client"
	"stint/internal/connector/delimited/delimitedtest"
)

const staff = "id,name,department,groups\nu1,Ann Smith,Sales,\"a,b\"\nu2,Bob \x7f,IT,a\n"

// aggregating is a server with a source and a file for it.
type aggregating struct {
	*env
	s    *server
	id   string // of the source HR
	file string
}

func newAggregating(t *testing.T) *aggregating {
	t.Helper()
	s := startServer(t)
	a := &aggregating{env: newEnv(t, s), s: s, file: filepath.Join(t.TempDir(), "staff.csv")}
	out, _ := a.run(0, "source", "create", "HR", "--account-id", "id", "--display-name", "name", "--entitlements", "groups")
	a.id = strings.TrimSpace(out)
	a.write(staff)
	return a
}

func (a *aggregating) write(content string) {
	a.t.Helper()
	if err := os.WriteFile(a.file, []byte(content), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// aggregate runs the command on HR and the file.
func (a *aggregating) aggregate(code int, more ...string) (stdout, stderr string) {
	a.t.Helper()
	return a.run(code, append([]string{"source", "aggregate", "HR", a.file}, more...)...)
}

// piped runs the command with something on standard input.
func (a *aggregating) piped(code int, in io.Reader, args ...string) (stdout, stderr string) {
	a.t.Helper()
	c := a.command(append([]string{"source", "aggregate"}, args...)...)
	c.cmd.Stdin = in
	c.start()
	c.wait(code)
	return c.stdout.String(), c.stderr.String()
}

func (a *aggregating) task(id string) *client.Task {
	a.t.Helper()
	task, err := a.s.client().Wait(a.t.Context(), strings.TrimSpace(id), 0)
	if err != nil {
		a.t.Fatal(err)
	}
	return task
}

func TestAggregateByCommand(t *testing.T) {
	t.Parallel()
	a := newAggregating(t)
	out, stderr := a.aggregate(0, "--name", "first", "--description", "d", "--launcher", "me")
	if want := "2 accounts: 2 created, 0 updated, 0 unchanged, 0 deleted\n  CREATED  u1  Ann Smith\n  CREATED  u2  Bob \\x7f\n"; out != want {
		t.Errorf("created: %q, want %q", out, want)
	}
	if task := a.s.one(); !strings.Contains(stderr, task.ID+" SUCCESS after") || task.UniqueName != "first" || task.Description != "d" || task.Launcher != "me" {
		t.Errorf("got %s, %q", task.Raw(), stderr)
	}
	a.write(strings.Replace(staff, "Sales,\"a,b\"", "IT,b", 1))
	if out, _ = a.aggregate(0); !strings.HasSuffix(out, "\n  UPDATED  u1  Ann Smith  (department, groups)\n") {
		t.Errorf("updated: %q", out)
	}
	if out, _ = a.aggregate(0, "--disable-optimization"); !strings.HasSuffix(out, "\n  UPDATED  u1  Ann Smith\n  UPDATED  u2  Bob \\x7f\n") {
		t.Errorf("processed again: %q", out)
	}
	// The same from standard input: a file, then a pipe.
	f, err := os.Open(a.file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, in := range []io.Reader{f, strings.NewReader(strings.Replace(staff, "Sales,\"a,b\"", "IT,b", 1))} {
		if out, _ = a.piped(0, in, a.id, "-"); out != "2 accounts: 0 created, 0 updated, 2 unchanged, 0 deleted\n" {
			t.Errorf("the same: %q", out)
		}
	}
	out, _ = a.run(0, "source", "aggregate", "HR", "--entitlements")
	if want := "2 entitlements: 2 created, 0 updated, 0 unchanged, 0 deleted\n  CREATED  groups=a\n  CREATED  groups=b\n"; out != want {
		t.Errorf("entitlements: %q", out)
	}
	a.write("id,displayName\na,All\nb,\n")
	if out, _ = a.aggregate(0, "--entitlements"); !strings.Contains(out, "UPDATED  groups=a  All") {
		t.Errorf("a file of entitlements: %q", out)
	}
}

// Deletions are withheld, with a warning in full, and pass when they are allowed.
func TestAggregateDeletions(t *testing.T) {
	t.Parallel()
	a := newAggregating(t)
	var many strings.Builder
	many.WriteString("id,name,department,groups\n")
	for i := range 30 {
		fmt.Fprintf(&many, "u%02d,Name %d,,\n", i, i)
	}
	a.write(many.String())
	out, _ := a.aggregate(0)
	id := a.s.one().ID
	if !strings.HasSuffix(out, "  CREATED  u19  Name 19\n  and 10 more: stint task changes "+id+"\n") {
		t.Errorf("many changes: %q", out)
	}
	a.write("id,name,department,groups\nu00,Name 0,,\nu01\n")
	out, stderr := a.aggregate(0, "--timeout", "1m")
	if !strings.Contains(out, "28 deletions withheld") || !strings.Contains(stderr, "--allow-deletions 28") || !strings.Contains(stderr, "WARN   Line 3, column 2") || !strings.Contains(stderr, " WARNING after") {
		t.Errorf("withheld: %q, %q", out, stderr)
	}
	out, _ = a.aggregate(0, "--allow-deletions", "28")
	if !strings.Contains(out, "28 deleted") || strings.Count(out, "DELETED") != 20 || !strings.Contains(out, "and 8 more") {
		t.Errorf("allowed: %q", out)
	}
}

func TestAggregateOutput(t *testing.T) {
	t.Parallel()
	a := newAggregating(t)
	out, _ := a.aggregate(0, "-o", "json")
	var task client.Task
	if err := json.Unmarshal([]byte(out), &task); err != nil || task.CompletionStatus != client.Success || task.ID != a.s.one().ID {
		t.Errorf("json: %v, %s", err, out)
	}
	for _, more := range [][]string{{"-o", "id"}, {"--no-wait"}, {"--no-wait", "-o", "id"}} {
		out, _ = a.aggregate(0, more...)
		if a.task(out).CompletionStatus != client.Success {
			t.Errorf("%v: %q", more, out)
		}
	}
	out, _ = a.aggregate(0, "--no-wait", "-o", "json")
	if err := json.Unmarshal([]byte(out), &task); err != nil || task.BodyType != "QUARTZ" || task.Definition.Executor != client.ExecutorBuiltIn {
		t.Errorf("json without waiting: %v, %s", err, out)
	}
	a.task(task.ID)
	// A key launches once.
	first, _ := a.aggregate(0, "-o", "id", "--idempotency-key", "k")
	again, stderr := a.aggregate(0, "-o", "id", "--idempotency-key", "k")
	if first != again || !strings.Contains(stderr, "has launched task "+strings.TrimSpace(first)+" before") {
		t.Errorf("launched %q and %q: %q", first, again, stderr)
	}
	a.write(staff + "u3,Cy,,\n")
	if _, stderr = a.aggregate(2, "--idempotency-key", "k"); !strings.Contains(stderr, "409") {
		t.Errorf("another file: %q", stderr)
	}
}

// What is wrong is said before anything is sent, or by the server before anything is stored.
func TestAggregateMistakes(t *testing.T) {
	t.Parallel()
	a := newAggregating(t)
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.csv")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []struct {
		args []string
		want string
	}{
		{nil, "which source"},
		{[]string{"HR"}, "which file"},
		{[]string{"HR", ""}, "file is empty"},
		{[]string{"", a.file}, "source is empty"},
		{[]string{"HR", a.file, "x"}, "too many"},
		{[]string{"HR", dir}, "is a directory"},
		{[]string{"HR", empty}, "empty.csv is empty"},
		{[]string{"HR", filepath.Join(dir, "none.csv")}, "none.csv: no such file"},
		{[]string{"HR", "-"}, "standard input is empty"},
		{[]string{"HR", a.file, "--allow-deletions", "-1"}, "--allow-deletions"},
		{[]string{"HR", a.file, "--timeout", "-1s"}, "--timeout"},
		{[]string{"HR", a.file, "-o", "xml"}, "xml"},
		{[]string{"unknown", a.file}, `no source is called "unknown"`},
		{[]string{"00000000000000000000000000000000", a.file}, "404"},
	} {
		if out, stderr := a.run(2, append([]string{"source", "aggregate"}, wrong.args...)...); out != "" || !strings.Contains(stderr, wrong.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: %q, %q", wrong.args, out, stderr)
		}
	}
	a.write("name\nx\n")
	if _, stderr := a.aggregate(2); !strings.Contains(stderr, `"id"`) || !strings.Contains(stderr, "400.1.3") {
		t.Errorf("no account id: %q", stderr)
	}
	if tasks := a.s.list(""); len(tasks) != 0 {
		t.Errorf("%d tasks are left", len(tasks))
	}
}

// large writes a file that takes a while to aggregate.
func (a *aggregating) large() {
	a.t.Helper()
	f, err := os.Create(a.file)
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	if err := delimitedtest.Generate(f, delimitedtest.Options{Rows: 200_000, Groups: true}); err != nil {
		a.t.Fatal(err)
	}
}

func TestAggregateInterrupted(t *testing.T) {
	t.Parallel()
	a := newAggregating(t)
	a.large()
	c := a.command("source", "aggregate", "HR", a.file)
	c.start()
	c.stderr.Await(t, "Scanned")
	// Another of the same sort does not begin.
	out, stderr := a.run(1, "source", "aggregate", "HR", a.file, "--no-wait")
	if busy := a.task(out); busy.CompletionStatus != client.Failure || !strings.Contains(stderr, "  ERROR  ") || !strings.Contains(stderr, "must complete") {
		t.Errorf("while one is in progress: %q, %q", out, stderr)
	}
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	c.wait(130)
	running := a.s.list(`completionStatus isnull`)
	if len(running) != 1 || !strings.Contains(c.stderr.String(), "Task "+running[0].ID+" goes on.") || !strings.Contains(c.stderr.String(), "stint task cancel "+running[0].ID) {
		t.Errorf("interrupted: %q, %d in progress", c.stderr, len(running))
	}
	a.run(0, "task", "cancel", running[0].ID)
	if task := a.task(running[0].ID); task.CompletionStatus != client.Terminated {
		t.Errorf("cancelled: %s", task.Raw())
	}
}

func TestAggregateTimeout(t *testing.T) {
	t.Parallel()
	a := newAggregating(t)
	a.large()
	out, stderr := a.aggregate(2, "--timeout", "1ms", "-o", "id")
	if !strings.Contains(stderr, "is still") {
		t.Errorf("got %q", stderr)
	}
	a.run(0, "task", "cancel", strings.TrimSpace(out))
	a.task(out)
}

// A pipe that gives nothing, or nothing more, does not hold an interrupted command.
func TestAggregateOfAPipeInterrupted(t *testing.T) {
	t.Parallel()
	a := newAggregating(t)
	for _, begun := range []string{"", "id,name,department,groups\n"} {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		defer out.Close()
		if _, err := io.WriteString(out, begun); err != nil {
			t.Fatal(err)
		}
		c := a.command("source", "aggregate", "HR", "-")
		c.cmd.Stdin = in
		c.start()
		if begun == "" {
			// It has no signal of its own that it waits; whenever this comes, it ends.
			a.run(0, "source", "list")
		} else {
			a.s.awaitTask(a.warmUp(), (*client.Task).Done)
		}
		if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = c.cmd.Wait()
		// Before it has begun to listen for the signal, the signal itself ends it.
		if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.ExitStatus() != 130 && status.Signal() != syscall.SIGINT {
			t.Errorf("%q: %v, %q", begun, c.cmd.ProcessState, c.stderr)
		}
	}
}

// warmUp takes about as long as another command takes to begin an upload.
func (a *aggregating) warmUp() string {
	out, _ := a.run(0, "source", "aggregate", "HR", "--entitlements", "-o", "id")
	return strings.TrimSpace(out)
}

// The answer to a launch is lost: the file is sent again, and launched once.
func TestAggregateWhenTheAnswerIsLost(t *testing.T) {
	t.Parallel()
	a := newAggregating(t)
	c := lossyProxy(t, a.s)
	f, err := os.Open(a.file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	launched, err := c.Aggregate(t.Context(), client.Aggregation{SourceID: a.id, File: f})
	if err != nil || !launched.Replayed || launched.ReportToken != "" {
		t.Fatalf("got %+v, %v", launched, err)
	}
	if task := a.task(launched.ID); task.ID != a.s.one().ID || task.CompletionStatus != client.Success {
		t.Errorf("got %s", task.Raw())
	}
	status, err := c.AggregationStatus(t.Context(), launched.ID)
	if err != nil || status.Status != "COMPLETED" || status.TotalAccounts != 2 || status.ProcessedAccounts != 2 || status.Start.IsZero() {
		t.Errorf("status %+v, %v", status, err)
	}
}

func TestTaskLaunchExecutor(t *testing.T) {
	t.Parallel()
	a := newAggregating(t)
	launch := []string{"task", "launch", "--type", "CLOUD_GROUP_AGGREGATION", "--source", a.id}
	for _, test := range []struct{ executor, bodyType string }{{"", "QUARTZ"}, {"builtin", "QUARTZ"}, {"external", "QUEUED_TASK"}} {
		args := launch
		if test.executor != "" {
			args = append(args[:len(args):len(args)], "--executor", test.executor)
		}
		out, _ := a.run(0, args...)
		task, err := a.s.client().GetTask(t.Context(), strings.TrimSpace(out))
		if err != nil || task.BodyType != test.bodyType {
			t.Errorf("%q: %v, %v", test.executor, task, err)
		}
		if test.bodyType == "QUARTZ" {
			a.task(out)
		}
	}
	if _, stderr := a.run(2, append(launch, "--executor", "cloud")...); !strings.Contains(stderr, "builtin") {
		t.Errorf("got %q", stderr)
	}
	// What runs elsewhere is reported, even where the server could run it.
	a.run(0, "exec", "--type", "CLOUD_GROUP_AGGREGATION", "--source", a.id, "--launcher", "elsewhere", "--", "true")
	if task := a.s.list(`launcher eq "elsewhere"`); len(task) != 1 || task[0].BodyType != "QUEUED_TASK" || task[0].CompletionStatus != client.Success {
		t.Errorf("exec: %d tasks", len(task))
	}
}
