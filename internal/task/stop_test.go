package task

import (
	"errors"
	"testing"
	"time"
)

// A worker is told to stop by what a person did, not by a silence that may have
// been the network's.
func TestLateReportIsToldToStopOnlyByAPerson(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	running := Task{ID: "00000000000000000000000000000001", Created: start, Modified: start, Attempt: 1, HeartbeatLimit: time.Minute}
	running = running.ApplyReport(Report{Attempt: 1}, start).Task
	later := start.Add(5 * time.Minute)
	cleared, err := running.ApplyClear(Clear{Status: TempError}, later)
	if err != nil {
		t.Fatal(err)
	}
	cancelled := running.ApplyCancel("somebody", "", start).Task
	for name, tc := range map[string]struct {
		ended Task
		stop  bool
	}{
		"taken for lost":        {running.Lost(later).Task, false},
		"cleared as the same":   {cleared.Task, true},
		"asked to stop, silent": {cancelled.Lost(later).Task, true},
		"expired":               {running.Expire(later).Task, true},
	} {
		if tc.ended.Status == InProgress {
			t.Fatalf("%s: not ended", name)
		}
		c := tc.ended.ApplyReport(Report{Attempt: 1, Completion: Success}, later)
		var e *Error
		if !errors.As(c.Err, &e) || e.Refused != RefusedLate || e.Stop != tc.stop {
			t.Errorf("%s: got %+v, want late with stop %t", name, c.Err, tc.stop)
		}
	}
}
