package cli_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"stint/client"
)

func TestTrack(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.client()
	launch := client.LaunchRequest{Type: "IDENTITY_REFRESH", HeartbeatLimitSeconds: 3}
	err := c.Track(t.Context(), launch, func(_ context.Context, r *client.Reporter) error {
		for i := range 1000 {
			r.Percent(i / 10)
			r.Progress(fmt.Sprintf("step %d\x00", i))
			r.Attribute("steps", i)
		}
		for i := range 400 {
			r.Info(fmt.Sprintf("message %d", i))
		}
		r.Returns(client.Return{Name: "STEPS", AttributeName: "steps"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	task := s.one()
	if task.CompletionStatus != client.Success || *task.Progress != "step 999\ufffd" || len(task.Returns) != 1 || fmt.Sprint(task.Attributes["steps"]) != "999" {
		t.Fatalf("got %s", task.Raw())
	}

	failure := errors.New("no disk left")
	launch.Launcher = "failing"
	if err := c.Track(t.Context(), launch, func(context.Context, *client.Reporter) error { return failure }); !errors.Is(err, failure) {
		t.Fatalf("got %v", err)
	}
	if task := s.list(`launcher eq "failing"`)[0]; task.CompletionStatus != client.Failure || !hasMessage(task, client.MessageError, "no disk left") {
		t.Fatalf("got %s", task.Raw())
	}
}

func TestTrackStopsOnCancel(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.client()
	launch := client.LaunchRequest{Type: "IDENTITY_REFRESH", HeartbeatLimitSeconds: 3}
	err := c.Track(t.Context(), launch, func(ctx context.Context, r *client.Reporter) error {
		id, ok := r.Identity()
		if !ok {
			return errors.New("not launched")
		}
		s.awaitTask(id.TaskID, func(task *client.Task) bool { return task.State == client.Running }) //nolint:contextcheck // the test has its own
		if _, err := c.Cancel(ctx, id.TaskID, "enough"); err != nil {
			return err
		}
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, client.ErrStopRequested) {
			return fmt.Errorf("cancelled because of %w", cause)
		}
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if task := s.one(); task.CompletionStatus != client.Terminated {
		t.Fatalf("got %s", task.Raw())
	}
}

func TestClientRefusals(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c, ctx := s.client(), t.Context()
	launch := client.LaunchRequest{Type: "IDENTITY_REFRESH", IdempotencyKey: "the-key"}
	first, err := c.Launch(ctx, launch)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Launch(ctx, launch)
	if err != nil || !again.Replayed || again.ID != first.ID || again.ReportToken != first.ReportToken {
		t.Fatalf("launched again: %+v, %v", again, err)
	}
	launch.UniqueName = "other"
	if _, err := c.Launch(ctx, launch); !errors.Is(err, client.ErrConflict) {
		t.Fatalf("the key with another body: %v", err)
	}
	report := client.Report{Attempt: 1, Sequence: 1, Messages: []client.ReportMessage{{Type: client.MessageInfo, Text: "m"}}}
	for i, want := range []error{nil, client.ErrDuplicate} {
		if _, err := c.Report(ctx, first.ID, first.ReportToken, report); !errors.Is(err, want) {
			t.Fatalf("report %d: %v", i, err)
		}
	}
	if _, err := c.Report(ctx, first.ID, "wrong", report); !errors.Is(err, client.ErrForbidden) {
		t.Fatalf("wrong token: %v", err)
	}
	if _, err := c.Report(ctx, first.ID, first.ReportToken, client.Report{Attempt: 2}); !errors.Is(err, client.ErrStale) {
		t.Fatalf("wrong attempt: %v", err)
	}
	end := client.Report{Attempt: 1, CompletionStatus: client.Success}
	for range 2 {
		if _, err := c.Report(ctx, first.ID, first.ReportToken, end); err != nil {
			t.Fatalf("the same end: %v", err)
		}
	}
	var refused *client.Error
	if _, err := c.Report(ctx, first.ID, first.ReportToken, client.Report{Attempt: 1}); !errors.Is(err, client.ErrLate) || !errors.As(err, &refused) || !refused.Stop {
		t.Fatalf("late: %v", err)
	}
	if _, err := c.GetTask(ctx, "0123"); !errors.Is(err, client.ErrNotFound) {
		t.Fatalf("unknown id: %v", err)
	}
	if n, err := c.CountTasks(ctx, `launcher eq "System"`); err != nil || n != 1 {
		t.Fatalf("counted %d, %v", n, err)
	}
}
