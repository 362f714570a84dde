package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	firstRetry = 250 * time.Millisecond
	leastPause = 100 * time.Millisecond
	// tryTimeout bounds one try. It is shorter than the longest pause, so that a server that
	// is back hears of the task within that time even if the way to it swallowed the last try.
	tryTimeout = 4 * time.Second
)

// run sends what is due until the task's end is reported, reporting is refused for good, or
// the reporter is closed. It alone sends, so reports arrive in order.
func (r *Reporter) run(ctx context.Context) {
	defer close(r.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-r.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	// due is when to send next, whatever there is to say; earliest is the soonest time for
	// what was said since.
	var earliest time.Time
	due := r.client.now()
	failures, finishing := 0, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wake:
		}
		now := r.client.now()
		something, final := r.outstanding()
		if final && !finishing {
			// The end does not wait for an interval or a pause.
			finishing, failures = true, 0
			earliest, due = now, now
		}
		if !something && now.Before(due) {
			timer.Reset(due.Sub(now))
			continue
		}
		if now.Before(earliest) {
			timer.Reset(earliest.Sub(now))
			continue
		}
		_, launched := r.Identity()
		begun := now
		over, err := r.send(ctx)
		if over {
			return
		}
		now = r.client.now()
		if err == nil {
			failures = 0
			earliest, due = now.Add(r.opts.Interval), now.Add(r.opts.MaxSilence)
			if !launched {
				// The first report says that the work runs; nobody should see it queued.
				due = now
			}
			if finishing || !launched {
				earliest = now
			}
		} else {
			// Counted from the beginning of the try: one that hung must not add to the silence.
			earliest = later(begun.Add(r.pause(failures, finishing, err)), now.Add(leastPause))
			due = earliest
			failures++
		}
		if something, _ = r.outstanding(); something {
			due = earliest
		}
		timer.Reset(due.Sub(now))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pause is how long to wait after a failure: longer each time, not all at the same moment.
func (r *Reporter) pause(failures int, finishing bool, err error) time.Duration {
	longest := r.opts.MaxRetry
	if finishing {
		longest = min(longest, time.Second)
	}
	d := min(firstRetry<<min(failures, 16), longest)
	var answer *Error
	if errors.As(err, &answer) && answer.RetryAfter > 0 {
		d = min(answer.RetryAfter, longest)
	}
	return d - time.Duration(rand.Int64N(int64(d)/4+1)) //nolint:gosec // spreads load, guards nothing
}

// outstanding says whether there is something to send, and whether it is the task's end.
func (r *Reporter) outstanding() (something, final bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	final = r.final != ""
	return final || r.inFlight != nil || !r.pending.empty() || r.identity.TaskID == "", final
}

// send makes one request: the launch, or a report. over says that no other will follow.
func (r *Reporter) send(ctx context.Context) (over bool, err error) {
	if _, ok := r.Identity(); !ok {
		return r.sendLaunch(ctx)
	}
	identity, report := r.next()
	result, err := r.client.Report(ctx, identity.TaskID, identity.Token, report)
	switch {
	case err == nil:
		return r.accepted(report, result), nil
	case errors.Is(err, ErrDuplicate):
		return r.duplicate(report), nil
	case errors.Is(err, ErrStale), errors.Is(err, ErrLate):
		r.fail(err)
		if !TakenForLost(err) {
			r.cancel(err)
		}
		return true, err
	}
	var answer *Error
	if errors.As(err, &answer) {
		if answer.Refused == RefusedToken {
			r.fail(err)
			return true, err
		}
		switch answer.Status {
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			return r.rejected(err), nil
		}
	}
	r.mu.Lock()
	r.lastErr = err
	r.unsure = r.unsure || !neverSent(err)
	r.mu.Unlock()
	return false, err
}

func (r *Reporter) sendLaunch(ctx context.Context) (over bool, err error) {
	launched, err := r.client.Launch(ctx, *r.opts.Launch)
	first := false
	select {
	case <-r.tried:
	default:
		first = true
	}
	r.mu.Lock()
	if err == nil {
		r.identity = Identity{TaskID: launched.ID, Attempt: launched.Attempt, Token: launched.ReportToken}
		r.lastErr = nil
	} else {
		r.lastErr = err
		if launchMistake(err) {
			r.failed, over = err, true
		}
	}
	r.mu.Unlock()
	if err == nil {
		close(r.launched)
	}
	if first {
		close(r.tried)
	}
	return over, err
}

// launchMistake says that the server understood the launch and will never take it. What is
// about the caller or the way to the server (401, 403, 404) may be put right while the work
// runs.
func launchMistake(err error) bool {
	var answer *Error
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// next is the report to send: the one that got no answer, or a new one.
func (r *Reporter) next() (Identity, Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight == nil {
		report := r.pending.take(r.final)
		r.number(&report)
		r.inFlight, r.unsure = &report, false
	}
	return r.identity, *r.inFlight
}

func (r *Reporter) number(report *Report) {
	report.Attempt = r.identity.Attempt
	if !r.noSequence {
		r.sequence++
		report.Sequence = r.sequence
	}
}

func (r *Reporter) accepted(report Report, result *ReportResult) (over bool) {
	r.mu.Lock()
	r.inFlight, r.lastErr = nil, nil
	r.completed = report.CompletionStatus != ""
	over = r.completed
	r.mu.Unlock()
	if result.Stop && !over {
		cause := ErrStopRequested
		if result.Reason != nil && *result.Reason != "" {
			cause = fmt.Errorf("%w: %s", ErrStopRequested, *result.Reason)
		}
		r.cancel(cause)
	}
	return over
}

// duplicate handles a sequence number that was used already: by this very report, whose
// answer was lost, or by another program that reports the same task.
func (r *Reporter) duplicate(report Report) (over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unsure {
		r.inFlight = nil
		r.completed = report.CompletionStatus != ""
		return r.completed
	}
	// Somebody else numbers reports too; going on without numbers beats losing the reports.
	r.noSequence = true
	r.inFlight.Sequence = 0
	return false
}

// rejected replaces a report that the server cannot take by one that says so, then by a bare
// one, so that one bad value does not keep the task's end from being reported.
func (r *Reporter) rejected(err error) (over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastErr = err
	bad := *r.inFlight
	bare := Report{Attempt: bad.Attempt, Sequence: bad.Sequence, CompletionStatus: bad.CompletionStatus}
	switch {
	case len(bad.Messages) == 1 && bad.Messages[0].Key == rejectedKey:
	case bad.Progress != nil || bad.PercentComplete != nil || len(bad.Messages)+len(bad.Attributes)+len(bad.Returns) > 0:
		bare.Messages = []ReportMessage{{Type: MessageWarn, Key: rejectedKey, Text: cleanText("A report was refused: " + err.Error())}}
	default:
		r.failed = err
		return true
	}
	r.inFlight = &bare
	return false
}

const rejectedKey = "report_refused"

func (r *Reporter) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = err
}
