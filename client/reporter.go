package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	defaultInterval    = time.Second
	defaultMaxRetry    = 5 * time.Second
	defaultHeartbeat   = 60 * time.Second
	defaultMaxMessages = 1000
	maxProgress        = 1000
)

// ErrStopRequested is the cause of a [Reporter]'s cancelled context after somebody asked to
// cancel the task.
var ErrStopRequested = errors.New("the task was cancelled")

// ReporterOptions say which task a [Reporter] reports: one that was launched already (TaskID,
// Attempt, Token), or one that it launches itself (Launch).
type ReporterOptions struct {
	TaskID  string
	Attempt int
	Token   string
	// Launch is launched in the background, and again until it succeeds. Without an
	// idempotency key it gets one.
	Launch *LaunchRequest
	// HeartbeatLimit is how long the server lets the task be silent, 60 seconds if zero. A
	// third of it is the longest silence of the reporter.
	HeartbeatLimit time.Duration
	// MaxSilence, if not zero, is a shorter longest silence: a reporter hears that it should
	// stop only from the answer to a report.
	MaxSilence time.Duration
	// Interval is the least time between two reports, one second if zero: what happens
	// meanwhile goes out together.
	Interval time.Duration
	// MaxRetry is the longest time between two tries while the server is away, 5 seconds if
	// zero.
	MaxRetry time.Duration
	// MaxMessages bounds the messages of the task, 1000 if zero, so that a program that never
	// stops complaining costs no memory. What is over is counted, and the count is a message.
	MaxMessages int
}

// Reporter reports a task from the program that does its work. It reports in the background:
// heartbeats, and what its methods were told, put together. Its methods never wait for the
// server, but for Complete and WaitLaunched, and may be called from several goroutines.
//
// When the server asks to stop, or refuses reports because the attempt was replaced or
// somebody ended the task, Context is cancelled. A server that is away is no reason to stop: what is to be
// said waits for it.
type Reporter struct {
	client   *Client
	opts     ReporterOptions
	ctx      context.Context // the reporter's message to the work
	cancel   context.CancelCauseFunc
	wake     chan struct{}
	quit     chan struct{}
	quitOnce sync.Once
	done     chan struct{}
	launched chan struct{}
	tried    chan struct{}

	mu       sync.Mutex
	identity Identity
	pending  pending
	inFlight *Report
	// unsure says that inFlight may have arrived although no answer came.
	unsure     bool
	sequence   int64
	noSequence bool
	messages   int
	dropped    int
	final      CompletionStatus
	completed  bool
	// failed is why nothing can be reported any more.
	failed  error
	lastErr error
}

// Identity is what reporting to a task takes.
type Identity struct {
	TaskID  string
	Attempt int
	Token   string
}

// NewReporter starts reporting. Values of ctx are kept; its end cancels the reporter's
// Context but not the reporting, so that the work's end can still be told. End it with
// Complete or Close.
func NewReporter(ctx context.Context, c *Client, opts ReporterOptions) (*Reporter, error) {
	if (opts.TaskID == "") == (opts.Launch == nil) {
		return nil, errors.New("a reporter needs either a launched task or one to launch")
	}
	if opts.HeartbeatLimit <= 0 {
		opts.HeartbeatLimit = defaultHeartbeat
		if opts.Launch != nil && opts.Launch.HeartbeatLimitSeconds > 0 {
			opts.HeartbeatLimit = time.Duration(opts.Launch.HeartbeatLimitSeconds) * time.Second
		}
	}
	if silence := opts.HeartbeatLimit / 3; opts.MaxSilence <= 0 || opts.MaxSilence > silence {
		opts.MaxSilence = silence
	}
	opts.Interval = defaultTo(opts.Interval, defaultInterval)
	opts.MaxRetry = defaultTo(opts.MaxRetry, defaultMaxRetry)
	if opts.MaxMessages <= 0 {
		opts.MaxMessages = defaultMaxMessages
	}
	if opts.Launch != nil {
		launch := *opts.Launch
		// Whoever reports runs it, even where the server could.
		launch.Executor = ExecutorExternal
		if launch.IdempotencyKey == "" {
			launch.IdempotencyKey = NewIdempotencyKey()
		}
		opts.Launch = &launch
	}
	r := &Reporter{
		// One try must not outlast the silence that the server allows.
		client:   c.withoutRetries(min(tryTimeout, max(opts.HeartbeatLimit/2, time.Second))),
		opts:     opts,
		wake:     make(chan struct{}, 1),
		quit:     make(chan struct{}),
		done:     make(chan struct{}),
		launched: make(chan struct{}),
		tried:    make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	if opts.TaskID != "" {
		r.identity = Identity{TaskID: opts.TaskID, Attempt: opts.Attempt, Token: opts.Token}
		close(r.launched)
		close(r.tried)
	}
	go r.run(context.WithoutCancel(ctx))
	return r, nil
}

func defaultTo(value, fallback time.Duration) time.Duration {
	if value <= 0 {
		return fallback
	}
	return value
}

// Context is cancelled when the work should stop; context.Cause says why: ErrStopRequested,
// or an [Error] that matches ErrStale or ErrLate. A task that the server took for lost, because
// it could not be heard, is no reason to stop: its reports are over, see Err.
func (r *Reporter) Context() context.Context { return r.ctx }

// Launched is closed once the task exists on the server.
func (r *Reporter) Launched() <-chan struct{} { return r.launched }

// Identity is the task that is reported; false while it is not launched yet.
func (r *Reporter) Identity() (Identity, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.identity, r.identity.TaskID != ""
}

// WaitLaunched waits until the task is launched or the first try has failed, whose error it
// returns; the reporter goes on trying. A refusal for good matches [Error].
func (r *Reporter) WaitLaunched(ctx context.Context) error {
	select {
	case <-r.launched:
		return nil
	case <-r.tried:
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.identity.TaskID != "" {
		return nil
	}
	return r.lastErr
}

// Progress sets the text that says where the work is.
func (r *Reporter) Progress(text string) {
	r.add(func(p *pending) { p.setProgress(text) })
}

// Percent sets how much of the work is done, 0 to 100.
func (r *Reporter) Percent(percent int) {
	r.add(func(p *pending) { p.setPercent(percent) })
}

// Message adds a message to the task.
func (r *Reporter) Message(m ReportMessage) {
	m = m.clean()
	r.add(func(p *pending) {
		if r.messages >= r.opts.MaxMessages {
			r.dropped++
			return
		}
		r.messages++
		p.messages = append(p.messages, m)
	})
}

// Info adds a message of type INFO.
func (r *Reporter) Info(text string) { r.Message(ReportMessage{Type: MessageInfo, Text: text}) }

// Warn adds a message of type WARN.
func (r *Reporter) Warn(text string) { r.Message(ReportMessage{Type: MessageWarn, Text: text}) }

// Error adds a message of type ERROR. It does not end the task.
func (r *Reporter) Error(text string) { r.Message(ReportMessage{Type: MessageError, Text: text}) }

// Attribute sets an attribute of the task to a JSON value.
func (r *Reporter) Attribute(name string, value any) {
	r.add(func(p *pending) {
		if !p.setAttribute(name, value) {
			r.dropped++
		}
	})
}

// Returns says which attributes the task answers with.
func (r *Reporter) Returns(returns ...Return) {
	r.add(func(p *pending) { p.returns = returns })
}

func (r *Reporter) add(change func(*pending)) {
	r.mu.Lock()
	// After the end nothing is kept: there is no report left to put it in.
	if r.final == "" {
		change(&r.pending)
	}
	r.mu.Unlock()
	r.poke()
}

func (r *Reporter) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Complete ends the task with last messages, which are kept whatever MaxMessages says, and
// waits until everything is reported or ctx is done; the reporter has stopped when it
// returns. After an error [Reporter.Undelivered] holds what is left to tell, if anything.
func (r *Reporter) Complete(ctx context.Context, status CompletionStatus, last ...ReportMessage) error {
	r.mu.Lock()
	if r.final == "" {
		r.final = status
		for _, m := range last {
			r.pending.messages = append(r.pending.messages, m.clean())
		}
		if r.dropped > 0 {
			r.pending.messages = append(r.pending.messages, ReportMessage{
				Type: MessageWarn, Text: fmt.Sprintf("%d more messages or attributes were not kept.", r.dropped),
			})
		}
	}
	r.mu.Unlock()
	r.poke()
	var ctxErr error
	select {
	case <-r.done:
	case <-ctx.Done():
		ctxErr = ctx.Err()
	}
	r.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.completed:
		return nil
	case r.failed != nil:
		return r.failed
	case r.lastErr != nil:
		return r.lastErr
	case ctxErr != nil:
		return ctxErr
	}
	return errors.New("the reporter was closed before the task's end was reported")
}

// Close stops reporting without ending the task, and cancels Context.
func (r *Reporter) Close() {
	r.quitOnce.Do(func() { close(r.quit) })
	<-r.done
	r.cancel(context.Canceled)
}

// Err is why nothing can be reported any more, or nil.
func (r *Reporter) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}
