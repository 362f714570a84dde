package client

import (
	"context"
	"fmt"
	"time"
)

// completeTimeout bounds how long Track tries to report the end.
const completeTimeout = 30 * time.Second

// Track launches a task, runs work, and completes the task: SUCCESS where work returns nil,
// TERMINATED where it returns an error after the task was cancelled, else ERROR with the
// error's text as a message. The context that work gets is cancelled when the task is
// cancelled or cleared. Track returns work's error, or the one of launching or completing.
func (c *Client) Track(ctx context.Context, launch LaunchRequest, work func(context.Context, *Reporter) error) error {
	launch.Executor = ExecutorExternal
	launched, err := c.Launch(ctx, launch)
	if err != nil {
		return fmt.Errorf("launching: %w", err)
	}
	limit := time.Duration(0)
	if launched.HeartbeatLimitSeconds != nil {
		limit = time.Duration(*launched.HeartbeatLimitSeconds) * time.Second
	}
	r, err := NewReporter(ctx, c, ReporterOptions{
		TaskID: launched.ID, Attempt: launched.Attempt, Token: launched.ReportToken, HeartbeatLimit: limit,
	})
	if err != nil {
		return err
	}
	status := Failure
	var last []ReportMessage
	finish := func() error {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), completeTimeout)
		defer cancel()
		return r.Complete(end, status, last...)
	}
	panicked := true
	defer func() {
		// A panic goes on; the task must not look as if it still ran.
		if panicked {
			last = []ReportMessage{{Type: MessageError, Text: "The program panicked."}}
			_ = finish()
		}
	}()
	workErr := work(r.Context(), r) //nolint:contextcheck // it is ctx, and ends with the task
	panicked = false
	switch {
	case workErr == nil:
		status = Success
	case r.Context().Err() != nil:
		status = Terminated
	}
	if workErr != nil {
		last = []ReportMessage{{Type: MessageError, Text: workErr.Error()}}
	}
	if err := finish(); err != nil && workErr == nil {
		return fmt.Errorf("reporting the end: %w", err)
	}
	return workErr
}
