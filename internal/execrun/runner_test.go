package execrun

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stint/client"
	"stint/internal/apptest"
)

// awayOptions run a program while no server is there.
func awayOptions(t *testing.T, command ...string) (opts Options, stdout, stderr *apptest.Buffer, signals chan os.Signal) {
	t.Helper()
	stdout, stderr, signals = apptest.NewBuffer(), apptest.NewBuffer(), make(chan os.Signal, 8)
	return Options{
		Client: awayClient(t), Launch: client.LaunchRequest{Type: "IDENTITY_REFRESH"},
		Command: command, Env: os.Environ(), Stdout: stdout, Stderr: stderr,
		Grace: time.Second, DeliverTimeout: time.Millisecond, KeepOutput: true,
		Spool: NewSpool(filepath.Join(t.TempDir(), "spool"), time.Now), Signals: signals,
		Now: time.Now, Say: func(string) {},
	}, stdout, stderr, signals
}

// kept is the only entry of a spool.
func kept(t *testing.T, s *Spool) *entry {
	t.Helper()
	names, err := s.names()
	if err != nil || len(names) != 1 {
		t.Fatalf("spool has %v, %v", names, err)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, names[0]))
	if err != nil {
		t.Fatal(err)
	}
	e := new(entry)
	if err := json.Unmarshal(text, e); err != nil {
		t.Fatal(err)
	}
	return e
}

func lastReport(t *testing.T, e *entry) client.Report {
	t.Helper()
	if len(e.Delivery.Reports) == 0 {
		t.Fatalf("no reports in %+v", e)
	}
	return e.Delivery.Reports[len(e.Delivery.Reports)-1]
}

func messageTexts(r client.Report) string {
	var all []string
	for _, m := range r.Messages {
		all = append(all, fmt.Sprintf("%s %s", m.Type, m.Text))
	}
	return strings.Join(all, "|")
}

func TestRunWithoutServer(t *testing.T) {
	t.Parallel()
	notExecutable := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(notExecutable, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		command  []string
		code     int
		status   client.CompletionStatus
		messages string
		stdout   string
	}{
		"success":        {[]string{"true"}, 0, client.Success, "", ""},
		"warned":         {[]string{"sh", "-c", "echo a; echo '::warning w'; echo b"}, 0, client.Warning, "WARN w", "a\nb\n"},
		"failed":         {[]string{"sh", "-c", "echo out; echo '::notice n'; exit 3"}, 3, client.Failure, "INFO n|ERROR sh ended with exit status 3.\nLast output:\nout\n", "out\n"},
		"failed for now": {[]string{"sh", "-c", "exit 75"}, 75, client.TempError, "ERROR sh ended with exit status 75 (failed for now).", ""},
		"killed":         {[]string{"sh", "-c", "kill -KILL $$"}, 137, client.Failure, "ERROR sh was killed by SIGKILL.", ""},
		"no such program": {
			[]string{"/no/such/program"},
			127, client.Failure,
			"ERROR program could not be started: stat /no/such/program: no such file or directory", "",
		},
		"not in the path": {
			[]string{"no-such-program"},
			127, client.Failure,
			"ERROR no-such-program could not be started: executable file not found in $PATH", "",
		},
		"not executable": {[]string{notExecutable}, 126, client.Failure, "ERROR data could not be started: ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts, stdout, _, _ := awayOptions(t, c.command...)
			code, err := Run(t.Context(), opts)
			if err != nil || code != c.code {
				t.Fatalf("exit status %d, %v, want %d", code, err, c.code)
			}
			if stdout.String() != c.stdout {
				t.Errorf("output %q, want %q", stdout.String(), c.stdout)
			}
			e := kept(t, opts.Spool)
			last := lastReport(t, e)
			if e.State != stateFinished || e.Finished == nil || last.CompletionStatus != c.status {
				t.Errorf("kept %s with %s, want %s", e.State, last.CompletionStatus, c.status)
			}
			if got := messageTexts(last); !strings.HasPrefix(got, c.messages) || (c.messages == "" && got != "") {
				t.Errorf("messages %q, want %q", got, c.messages)
			}
			for _, name := range []string{attributeStarted, attributeFinished} {
				if _, err := time.Parse("2006-01-02T15:04:05.000Z", fmt.Sprint(last.Attributes[name])); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestRunPassesInputAndOutput(t *testing.T) {
	t.Parallel()
	binary := make([]byte, 300_000)
	for i := range binary {
		binary[i] = byte(i * 7)
	}
	opts, stdout, stderr, _ := awayOptions(t, "sh", "-c", "cat; echo problem >&2")
	opts.Stdin = bytes.NewReader(binary)
	if code, err := Run(t.Context(), opts); code != 0 || err != nil {
		t.Fatalf("exit status %d, %v", code, err)
	}
	if stdout.String() != string(binary) || stderr.String() != "problem\n" {
		t.Fatalf("%d bytes of %d came through, and %q", len(stdout.String()), len(binary), stderr.String())
	}
}

func TestRunPassesPromptsAtOnce(t *testing.T) {
	t.Parallel()
	opts, stdout, _, _ := awayOptions(t, "sh", "-c", `printf 'Name: '; read a; printf ':'; read b; printf '::pro'; read c; echo "$a$b$c"`)
	reader, writer := io.Pipe()
	opts.Stdin = reader
	done := make(chan int)
	go func() {
		code, _ := Run(t.Context(), opts)
		done <- code
	}()
	for _, step := range []struct{ see, say string }{{"Name: ", "x\n"}, {"Name: :", "y\n"}, {"::::pro"[1:], "z\n"}} {
		stdout.Await(t, step.see)
		if _, err := io.WriteString(writer, step.say); err != nil {
			t.Fatal(err)
		}
	}
	if code := <-done; code != 0 || stdout.String() != "Name: :::proxyz\n" {
		t.Fatalf("exit status %d, output %q", code, stdout.String())
	}
}

func TestRunKeepsTheTailOnly(t *testing.T) {
	t.Parallel()
	opts, stdout, _, _ := awayOptions(t, "sh", "-c", "head -c 5000000 /dev/zero; echo end; exit 1")
	if code, _ := Run(t.Context(), opts); code != 1 {
		t.Fatalf("exit status %d", code)
	}
	if got := len(stdout.String()); got != 5000004 {
		t.Fatalf("%d bytes came through", got)
	}
	text := lastReport(t, kept(t, opts.Spool)).Messages[0].Text
	if len(text) > tailSize+200 || !strings.HasSuffix(text, "\ufffdend\n") || strings.ContainsRune(text, 0) {
		t.Fatalf("a message of %d bytes", len(text))
	}

	opts, _, _, _ = awayOptions(t, "sh", "-c", "echo secret; exit 1")
	opts.KeepOutput = false
	if code, _ := Run(t.Context(), opts); code != 1 {
		t.Fatalf("exit status %d", code)
	}
	if got := messageTexts(lastReport(t, kept(t, opts.Spool))); strings.Contains(got, "secret") {
		t.Fatalf("the output was kept: %q", got)
	}
}

func TestRunForwardsSignals(t *testing.T) {
	t.Parallel()
	for sig, word := range map[syscall.Signal]string{syscall.SIGUSR1: "USR1", syscall.SIGHUP: "HUP", syscall.SIGTERM: "TERM", syscall.SIGINT: "INT"} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			// The read keeps it waiting without a process of its own that the signal would end.
			opts, stdout, _, signals := awayOptions(t, "sh", "-c", "trap 'echo caught; exit 9' "+word+"; echo ready; read x")
			reader, writer := io.Pipe()
			defer func() { _ = writer.Close() }()
			opts.Stdin = reader
			done := make(chan int)
			go func() {
				code, _ := Run(t.Context(), opts)
				done <- code
			}()
			stdout.Await(t, "ready")
			signals <- sig
			if code := <-done; code != 9 || !strings.Contains(stdout.String(), "caught") {
				t.Fatalf("exit status %d, output %q", code, stdout.String())
			}
		})
	}
}

func TestRunDiesAsItsProgram(t *testing.T) {
	t.Parallel()
	opts, stdout, _, signals := awayOptions(t, "sh", "-c", "echo ready; sleep 60; echo not reached")
	done := make(chan int)
	go func() {
		code, _ := Run(t.Context(), opts)
		done <- code
	}()
	stdout.Await(t, "ready")
	// To the whole group: the sleep dies too, or its output would stay open.
	signals <- syscall.SIGTERM
	if code := <-done; code != 143 {
		t.Fatalf("exit status %d", code)
	}
	if got := messageTexts(lastReport(t, kept(t, opts.Spool))); !strings.HasPrefix(got, "ERROR sh was killed by SIGTERM.") {
		t.Fatalf("messages %q", got)
	}
}

// What the program leaves running must not keep the run from ending.
func TestRunDoesNotWaitForWhatIsLeftRunning(t *testing.T) {
	t.Parallel()
	opts, stdout, _, _ := awayOptions(t, "sh", "-c", "sleep 30 & echo $! done")
	begin := time.Now()
	code, err := Run(t.Context(), opts)
	if code != 0 || err != nil || time.Since(begin) > 15*time.Second {
		t.Fatalf("exit status %d, %v after %s", code, err, time.Since(begin))
	}
	var pid int
	if _, err := fmt.Sscanf(stdout.String(), "%d done", &pid); err != nil {
		t.Fatalf("output %q", stdout.String())
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("what was left running is gone: %v", err)
	}
}

func TestRunTellsTheProgramWhenNobodyReads(t *testing.T) {
	t.Parallel()
	opts, _, _, _ := awayOptions(t, "yes")
	opts.Stdout = failingWriter{}
	if code, err := Run(t.Context(), opts); code != 128+int(syscall.SIGPIPE) || err != nil {
		t.Fatalf("exit status %d, %v", code, err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// The entry is there while the program runs, so that a killed stint exec loses nothing.
func TestRunIsSpooledFromItsStart(t *testing.T) {
	t.Parallel()
	opts, stdout, _, _ := awayOptions(t, "sh", "-c", "echo ready; read x; env")
	reader, writer := io.Pipe()
	opts.Stdin, opts.Env = reader, []string{"PATH=" + os.Getenv("PATH"), "STINT_TASK_ID=outer", "STINT_REPORT_TOKEN=outer"}
	done := make(chan int)
	go func() {
		code, _ := Run(t.Context(), opts)
		done <- code
	}()
	stdout.Await(t, "ready")
	if e := kept(t, opts.Spool); e.State != stateStarted || e.Delivery.IdempotencyKey == "" || e.Delivery.Launch == nil {
		t.Fatalf("kept %+v", e)
	}
	// It belongs to a living run: nobody else may end it.
	if result, err := opts.Spool.Flush(t.Context(), opts.Client, nil); err != nil || result != (FlushResult{Busy: 1}) {
		t.Fatalf("flushed %+v, %v", result, err)
	}
	_, _ = io.WriteString(writer, "\n")
	if code := <-done; code != 0 {
		t.Fatalf("exit status %d", code)
	}
	if out := stdout.String(); strings.Contains(out, "outer") || !strings.Contains(out, "STINT_URL=http://127.0.0.1:1\n") {
		t.Fatalf("environment %q", out)
	}
	if e := kept(t, opts.Spool); e.State != stateFinished {
		t.Fatalf("kept %+v", e)
	}
}
