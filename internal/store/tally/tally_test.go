package tally_test

import (
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stint/internal/query/querytest"
	"stint/internal/store/tally"
	"stint/internal/task"
)

// TestSinceCoversOnce takes moments and times at random: each time from the
// moment on is in exactly one span or in the rest, none before it is.
func TestSinceCoversOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		since := rapid.Int64Range(0, 253402300799999).Draw(t, "since")
		near := rapid.Int64Range(-1<<40, 1<<40).Draw(t, "beside")
		created := rapid.OneOf(
			rapid.Just(max(0, since+near)), rapid.Just(max(0, since+near>>20)), rapid.Just(since), rapid.Int64Range(0, 253402300799999),
		).Draw(t, "created")
		spans, restEnd := tally.Since(since)
		n := 0
		for _, r := range spans {
			if b := tally.Bucket(created, r.Level); b >= r.From && b < r.To {
				n++
			}
		}
		if created >= since && created < restEnd {
			n++
		}
		// What is before since in the first short span is not in the rest.
		if want := created >= since; (n == 1) != want || n > 1 {
			t.Fatalf("created %d is counted %d times from %d on", created, n, since)
		}
		if rest := restEnd - since; rest <= 0 || rest > 1<<tally.Shift(0) {
			t.Fatalf("%d ms are left to count one by one", rest)
		}
	})
}

// TestSinceIsShort bounds what a count reads.
func TestSinceIsShort(t *testing.T) {
	t.Parallel()
	ninetyDays := int64(90 * 24 * time.Hour / time.Millisecond)
	for now := int64(1_700_000_000_000); now < 1_710_000_000_000; now += 12_345_678_9 {
		spans, _ := tally.Since(now - ninetyDays)
		read := int64(0)
		for _, r := range spans {
			read += min(r.To, tally.Bucket(now, r.Level)+1) - r.From
		}
		if read > 300 {
			t.Fatalf("a count of the last 90 days reads %d spans", read)
		}
	}
}

// TestDeltasCancelOut adds and takes away tasks: nothing is left but what is.
func TestDeltasCancelOut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tasks := querytest.Tasks(1, 6).Draw(t, "tasks")
		want, got := tally.Deltas{}, tally.Deltas{}
		for i := range tasks {
			n := rapid.IntRange(0, 3).Draw(t, "times")
			for range n {
				got.Add(&tasks[i], 1)
			}
			part := tally.Deltas{}
			part.Add(&tasks[i], int64(-n))
			if rapid.Bool().Draw(t, "stays") {
				part.Add(&tasks[i], 1)
				want.Add(&tasks[i], 1)
			}
			got.Merge(part)
		}
		if !maps.Equal(want, got) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestDimensions(t *testing.T) {
	t.Parallel()
	tk := task.Task{
		Type: task.QPOC, Kind: task.IdentityRefresh, Launcher: "Zoë", SourceID: "S", Created: time.UnixMilli(1 << 40).UTC(),
	}
	type counted struct {
		dimension tally.Dimension
		value     string
	}
	common := []counted{{tally.All, ""}, {tally.Type, "qpoc"}, {tally.Kind, "identity_refresh"}, {tally.Launcher, "zoë"}, {tally.Source, "s"}}
	for status, last := range map[task.CompletionStatus]counted{
		task.InProgress: {tally.InProgress, ""}, task.Failure: {tally.Status, "error"},
	} {
		tk.Status = status
		d := tally.Deltas{}
		d.Add(&tk, 2)
		if len(d) != (len(common)+1)*tally.Levels {
			t.Errorf("%q: %d counts: %v", status, len(d), d)
		}
		for _, c := range append(common, last) {
			for level := range tally.Levels {
				key := tally.Key{Dimension: c.dimension, Value: c.value, Level: level, Bucket: 1 << (40 - tally.Shift(level))}
				if d[key] != 2 {
					t.Errorf("%q: no count for %+v in %v", status, key, d)
				}
			}
		}
	}
}
