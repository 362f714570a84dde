package execrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"stint/client"
)

const (
	// launchPatience bounds how long the program's start waits for the server.
	launchPatience = 3 * time.Second
	tailSize       = 64 << 10
	// reportInterval is the least time between two reports of one run.
	reportInterval = 500 * time.Millisecond
	// maxSilence is how late the program may hear that its task was cancelled or cleared.
	maxSilence = 5 * time.Second
	groupPoll  = 20 * time.Millisecond
)

// Keys of the messages that stint exec itself adds.
const (
	keyFailed  = "exec_failed"
	keyStopped = "exec_stopped"
	keyLate    = "exec_delivered_late"
	keyUnknown = "exec_end_unknown"
)

// Options are what a run needs. All but Stdin are required.
type Options struct {
	Client *client.Client
	// Launch describes the task. Its idempotency key is made if it is empty.
	Launch client.LaunchRequest
	// Command is the program and its arguments; Env its environment, to which the task's
	// variables are added.
	Command []string
	Env     []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// Grace is the time between TERM and KILL when the task is cancelled.
	Grace time.Duration
	// DeliverTimeout bounds how long the end is reported before it is spooled.
	DeliverTimeout time.Duration
	// KeepOutput puts the end of a failed program's output into the task.
	KeepOutput bool
	Spool      *Spool
	// Signals are passed on to the program; after its end they cut the delivery short.
	Signals <-chan os.Signal
	Now     func() time.Time
	// Say hears what people should know, one line each.
	Say func(string)
}

// run is one run of a program.
type run struct {
	Options
	program  string
	started  time.Time
	reporter *client.Reporter
	entry    *ownedEntry
	// late says that the task could not be launched before the program started.
	late       bool
	complained atomic.Bool
	tail       *tailBuffer
	flushed    chan struct{}
}

// Run runs the program as a task and returns its exit status. An error means that the
// program was not run: the server refuses such a task.
func Run(ctx context.Context, opts Options) (int, error) {
	r := &run{
		Options: opts, program: filepath.Base(opts.Command[0]),
		started: opts.Now(), flushed: make(chan struct{}),
	}
	// A cancelled context is a signal that the program gets from Signals; what it was
	// doing must still be reported.
	ctx = context.WithoutCancel(ctx)
	if opts.KeepOutput {
		r.tail = newTailBuffer(tailSize)
	}
	if err := r.launch(ctx); err != nil {
		return 0, err
	}
	flushCtx, stopFlush := context.WithCancel(ctx)
	defer stopFlush()
	go r.flushOthers(flushCtx)
	end, stopped := r.runProgram() //nolint:contextcheck // only the reporter's context may stop the program
	r.finish(ctx, end, stopped)
	stopFlush()
	<-r.flushed
	return end.exitStatus(), nil
}

// launch gives the server a moment to take the task. Without it the program runs all the
// same, and the spool holds from now on that it did.
func (r *run) launch(ctx context.Context) error {
	launch := r.Launch
	if launch.IdempotencyKey == "" {
		launch.IdempotencyKey = client.NewIdempotencyKey()
	}
	attributes := map[string]any{attributeStarted: timeText(r.started)}
	for name, value := range launch.Attributes {
		attributes[name] = value
	}
	launch.Attributes = attributes
	r.Launch = launch
	r.entry = r.Spool.newEntry(r.started)
	var err error
	r.reporter, err = client.NewReporter(ctx, r.Client, client.ReporterOptions{
		Launch: &launch, Interval: reportInterval, MaxSilence: maxSilence,
	})
	if err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, launchPatience)
	defer cancel()
	err = r.reporter.WaitLaunched(patience)
	if err == nil {
		return nil
	}
	if refused := r.reporter.Err(); refused != nil {
		r.reporter.Close()
		return refused
	}
	r.late = true
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer from %s within %s", r.Client.URL(), launchPatience)
	}
	r.Say(fmt.Sprintf("the task could not be launched yet, the program runs all the same (%v)", err))
	e := r.newEntry(stateStarted)
	e.Delivery = &client.Delivery{Launch: &launch, IdempotencyKey: launch.IdempotencyKey}
	if err := r.entry.write(e); err != nil {
		r.Say(err.Error())
	}
	return nil
}

func (r *run) newEntry(state entryState) *entry {
	return &entry{Version: spoolVersion, State: state, URL: r.Client.URL(), Program: r.program, Started: r.started.UTC()}
}

// flushOthers delivers what earlier runs left, once the server is seen to be there.
func (r *run) flushOthers(ctx context.Context) {
	defer close(r.flushed)
	select {
	case <-r.reporter.Launched():
	case <-ctx.Done():
		return
	}
	if _, err := r.Spool.Flush(ctx, r.Client, r.Say); err != nil && ctx.Err() == nil && !errors.Is(err, ErrFlushing) {
		r.Say(fmt.Sprintf("earlier runs stay in %s: %v", r.Spool.Dir(), err))
	}
}

// runProgram runs the program to its end. stopped says that it was told to stop because the
// task was cancelled, cleared or replaced.
func (r *run) runProgram() (end outcome, stopped bool) {
	out, err := openOutputs(r.Stdout, r.Stderr, r.tail, r.Now, r.obey)
	if err != nil {
		return startFailure(r.program, err), false
	}
	stdin, err := openInput(r.Stdin)
	if err != nil {
		out.close()
		return startFailure(r.program, err), false
	}
	tty := openTerminal(r.Stdin, r.Stdout, r.Stderr)
	if tty != nil {
		defer tty.close()
	}
	c, err := startChild(r.Command, r.environ(), []*os.File{stdin.file, out.stdout, out.stderr}, tty)
	stdin.started()
	if err != nil {
		out.close()
		end = startFailure(r.program, err)
		r.Say(end.startErr.Error())
		return end, false
	}
	out.started()
	ended := make(chan outcome, 1)
	go func() { ended <- c.wait() }()
	end, stopped = r.supervise(c, ended)
	if err := out.finish(); err != nil && !errors.Is(err, syscall.EPIPE) {
		r.Say(fmt.Sprintf("the program's output could not be passed on: %v", err))
	}
	return end, stopped
}

// supervise passes signals on and stops the program when the task says so, until it ends.
func (r *run) supervise(c *child, ended <-chan outcome) (end outcome, stopped bool) {
	stop := r.reporter.Context().Done()
	var kill <-chan time.Time
	for {
		select {
		case end = <-ended:
			if stopped {
				r.endGroup(c, kill)
			}
			return end, stopped
		case sig := <-r.Signals:
			c.forward(sig)
		case <-stop:
			stopped, stop = true, nil
			r.Say(fmt.Sprintf("stopping %s: %v", r.program, context.Cause(r.reporter.Context())))
			c.signalGroup(syscall.SIGTERM)
			timer := time.NewTimer(r.Grace)
			defer timer.Stop()
			kill = timer.C
		case <-kill:
			kill = nil
			r.Say(fmt.Sprintf("%s did not stop within %s, killing it", r.program, r.Grace))
			c.signalGroup(syscall.SIGKILL)
		}
	}
}

// endGroup gives what the program started the rest of the grace, then kills it. A nil kill
// means that the group was killed already.
func (r *run) endGroup(c *child, kill <-chan time.Time) {
	if kill == nil {
		return
	}
	poll := time.NewTicker(groupPoll)
	defer poll.Stop()
	for c.groupAlive() {
		select {
		case <-poll.C:
		case <-kill:
			c.signalGroup(syscall.SIGKILL)
			return
		}
	}
}

// environ is the program's environment. An outer task's variables are not passed to a
// program that is not its work.
func (r *run) environ() []string {
	var env []string
	for _, kv := range r.Env {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "STINT_TASK_ID", "STINT_TASK_ATTEMPT", "STINT_REPORT_TOKEN", "STINT_URL":
		default:
			env = append(env, kv)
		}
	}
	env = append(env, "STINT_URL="+r.Client.URL())
	if id, ok := r.reporter.Identity(); ok {
		env = append(env, "STINT_TASK_ID="+id.TaskID, "STINT_TASK_ATTEMPT="+strconv.Itoa(id.Attempt), "STINT_REPORT_TOKEN="+id.Token)
	}
	return env
}

// obey does what a directive line asks for.
func (r *run) obey(d directive) {
	switch d.kind {
	case directiveProgress:
		if d.percent >= 0 {
			r.reporter.Percent(d.percent)
		}
		if d.text != "" {
			r.reporter.Progress(d.text)
		}
	case directiveWarning:
		r.complained.Store(true)
		r.reporter.Warn(d.text)
	case directiveError:
		r.complained.Store(true)
		r.reporter.Error(d.text)
	case directiveNotice:
		r.reporter.Info(d.text)
	case directiveAttribute:
		r.reporter.Attribute(d.name, d.value)
	}
}

// finish reports the end, or keeps it in the spool.
func (r *run) finish(ctx context.Context, end outcome, stopped bool) {
	finished := r.Now()
	// Set again: a directive may have used the names.
	r.reporter.Attribute(attributeStarted, timeText(r.started))
	r.reporter.Attribute(attributeFinished, timeText(finished))
	status := end.completion(r.complained.Load())
	var last []client.ReportMessage
	switch {
	case stopped:
		status = client.Terminated
		last = append(last, client.ReportMessage{Type: client.MessageInfo, Key: keyStopped, Text: "Stopped on request. " + end.text(r.program)})
	case end.failed():
		tail := ""
		if r.tail != nil {
			tail = r.tail.String()
		}
		last = append(last, client.ReportMessage{Type: client.MessageError, Key: keyFailed, Text: end.message(r.program, tail)})
	}
	if _, launched := r.reporter.Identity(); launched && r.late {
		last = append(last, client.ReportMessage{Type: client.MessageInfo, Key: keyLate, Text: fmt.Sprintf(
			"Delivered late: the server could not be reached when the program started at %s.", timeText(r.started))})
	}
	ctx, cancel := context.WithTimeout(ctx, r.DeliverTimeout)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-r.Signals:
			cancel()
		case <-done:
		}
	}()
	err := r.reporter.Complete(ctx, status, last...)
	if client.TakenForLost(err) {
		r.leaveWord(ctx, status)
	}
	r.settle(err, finished)
	if _, launched := r.reporter.Identity(); launched {
		// Earlier runs may use what is left of the time.
		select {
		case <-r.flushed:
		case <-ctx.Done():
		}
	}
}

// leaveWord tells the history of a task that was taken for lost how it ended: the report is
// refused, and the refusal is kept.
func (r *run) leaveWord(ctx context.Context, status client.CompletionStatus) {
	if id, ok := r.reporter.Identity(); ok {
		_, _ = r.Client.Report(ctx, id.TaskID, id.Token, client.Report{Attempt: id.Attempt, CompletionStatus: status})
	}
}

// settle keeps in the spool what Complete could not deliver.
func (r *run) settle(err error, finished time.Time) {
	if err == nil {
		if err := r.entry.remove(); err != nil {
			r.Say(err.Error())
		}
		return
	}
	left := r.reporter.Undelivered()
	if left == nil {
		// The server knows the task's end and ours differs; its history has what we said.
		r.Say(fmt.Sprintf("the end was not taken: %v", err))
		if err := r.entry.remove(); err != nil {
			r.Say(err.Error())
		}
		return
	}
	e := r.newEntry(stateFinished)
	at := finished.UTC()
	e.Finished, e.Delivery = &at, left
	if r.reporter.Err() != nil {
		why := fmt.Sprintf("the server refused the task, the run is kept in %s: %v", filepath.Join(r.Spool.Dir(), refusedFolder), err)
		r.kept(why, r.entry.setAside(e, err.Error()))
		return
	}
	why := fmt.Sprintf("the end could not be reported, it is kept in %s for the next stint exec (%v)", r.Spool.Dir(), err)
	err = r.entry.write(e)
	r.kept(why, err)
	r.entry.close()
}

func (r *run) kept(why string, err error) {
	if err != nil {
		why = fmt.Sprintf("the end of the run could neither be reported nor kept: %v", err)
	}
	r.Say(why)
}
