package client

import (
	"context"
	"errors"
	"fmt"
)

// Delivery is what a [Reporter] could not deliver: a launch, reports, or both. It can be
// stored as JSON and delivered later by another program. Delivering it again is harmless.
type Delivery struct {
	// Launch is set where the task was not launched; IdempotencyKey belongs to it.
	Launch         *LaunchRequest `json:"launch,omitempty"`
	IdempotencyKey string         `json:"idempotencyKey,omitempty"`
	// TaskID, Attempt and Token are set where it was.
	TaskID  string `json:"taskId,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	Token   string `json:"reportToken,omitempty"`
	// Reports are in the order in which they are to be sent.
	Reports []Report `json:"reports"`
}

// Undelivered is what is left after Complete or Close; nil if nothing is, or if the attempt was
// replaced or the task ended otherwise, so that there is nobody to tell.
func (r *Reporter) Undelivered() *Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.completed || errors.Is(r.failed, ErrStale) || errors.Is(r.failed, ErrLate) {
		return nil
	}
	d := &Delivery{}
	if r.identity.TaskID == "" {
		d.Launch, d.IdempotencyKey = r.opts.Launch, r.opts.Launch.IdempotencyKey
	} else {
		d.TaskID, d.Attempt, d.Token = r.identity.TaskID, r.identity.Attempt, r.identity.Token
	}
	if r.inFlight != nil {
		d.Reports = append(d.Reports, *r.inFlight)
	}
	rest := r.pending
	sequence := r.sequence
	for !rest.empty() || (r.final != "" && !ends(d.Reports)) {
		report := rest.take(r.final)
		report.Attempt = r.identity.Attempt
		if !r.noSequence {
			sequence++
			report.Sequence = sequence
		}
		d.Reports = append(d.Reports, report)
	}
	if d.Launch == nil && len(d.Reports) == 0 {
		return nil
	}
	return d
}

func ends(reports []Report) bool {
	return len(reports) > 0 && reports[len(reports)-1].CompletionStatus != ""
}

// Deliver delivers what was kept: it launches the task where that is left, then sends the
// reports. Reports that arrived before are passed over.
func (c *Client) Deliver(ctx context.Context, d *Delivery) (taskID string, err error) {
	id, attempt, token := d.TaskID, d.Attempt, d.Token
	if id == "" {
		if d.Launch == nil {
			return "", errors.New("a delivery without a task and without a launch")
		}
		launch := *d.Launch
		launch.IdempotencyKey = d.IdempotencyKey
		launched, err := c.Launch(ctx, launch)
		if err != nil {
			return "", fmt.Errorf("launching: %w", err)
		}
		id, attempt, token = launched.ID, launched.Attempt, launched.ReportToken
	}
	for _, report := range d.Reports {
		// A task that was launched just now is at its own attempt, whatever was thought.
		report.Attempt = attempt
		if _, err := c.Report(ctx, id, token, report); err != nil && !errors.Is(err, ErrDuplicate) {
			return id, fmt.Errorf("reporting to task %s: %w", id, err)
		}
	}
	return id, nil
}

// RefusedForGood says whether sending the same again is useless: the server understood it and
// said no. Not so for what is about the caller or the moment: not signed in, too many
// requests, a server or a proxy in trouble.
func RefusedForGood(err error) bool {
	var answer *Error
	if !errors.As(err, &answer) || answer.Status < 400 || answer.Status > 499 {
		return false
	}
	switch answer.Status {
	case 401, 408, 425, 429:
		return false
	}
	return true
}
