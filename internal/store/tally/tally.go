// Package tally keeps exact counts of tasks by what lists are asked for, so
// that neither a count nor a far offset scans the table.
//
// Counts are kept per dimension (all, in progress, status, kind, body type,
// source, launcher), value and span of creation time, on three levels: spans of
// 9 minutes, 9 hours and 25 days. A count from a moment on is then the sum of
// at most some two hundred spans and the rows of one short span; an offset is
// found by walking down the levels. Shorter spans would make a burst cheaper to
// walk, and cost a stored count for nearly every task and dimension.
//
// It owns the arithmetic and which counts a task belongs to. It does not own
// storage: a store adds the deltas of a transaction in that transaction, so
// that counts and rows never disagree.
package tally

import "stint/internal/task"

// Dimension is one way of counting. The numbers are stored; they never change.
type Dimension int

// The dimensions.
const (
	All        Dimension = 0
	InProgress Dimension = 1
	Status     Dimension = 2
	Kind       Dimension = 3
	Type       Dimension = 4
	Source     Dimension = 5
	Launcher   Dimension = 6
)

// Levels is how many levels there are; level 0 has the shortest spans.
const Levels = 3

// Shift returns the length of a level's spans as a power of two milliseconds.
func Shift(level int) int { return 19 + 6*level }

// Bucket returns the span of a level that a creation time (UTC milliseconds,
// not negative) falls in.
func Bucket(createdMillis int64, level int) int64 { return createdMillis >> Shift(level) }

// Key names one stored count.
type Key struct {
	Dimension Dimension
	Value     string // ASCII lower case
	Level     int
	Bucket    int64
}

// Deltas are changes of counts.
type Deltas map[Key]int64

// Add counts a task n times more (or less) in all its dimensions.
func (d Deltas) Add(t *task.Task, n int64) {
	d.count(t, All, "", n)
	if t.Status == task.InProgress {
		d.count(t, InProgress, "", n)
	} else {
		d.count(t, Status, string(t.Status), n)
	}
	d.count(t, Kind, string(t.Kind), n)
	d.count(t, Type, string(t.Type), n)
	d.count(t, Launcher, t.Launcher, n)
	if t.SourceID != "" {
		d.count(t, Source, t.SourceID, n)
	}
}

// Merge adds other's changes to d.
func (d Deltas) Merge(other Deltas) {
	for k, n := range other {
		d.bump(k, n)
	}
}

func (d Deltas) count(t *task.Task, dim Dimension, value string, n int64) {
	created := t.Created.UnixMilli()
	value = task.LowerASCII(value)
	for level := range Levels {
		d.bump(Key{Dimension: dim, Value: value, Level: level, Bucket: Bucket(created, level)}, n)
	}
}

func (d Deltas) bump(k Key, n int64) {
	if d[k] += n; d[k] == 0 {
		delete(d, k)
	}
}

// Range is a run of spans of one level: From <= bucket < To.
type Range struct {
	Level    int
	From, To int64
}

// Since splits the time from a moment on (UTC milliseconds, inclusive) into
// whole spans and the rest before them: rows created in [since, restEnd) are to
// be counted one by one, at most one span of the lowest level.
func Since(since int64) (spans []Range, restEnd int64) {
	for level := range Levels {
		from := Bucket(since, level) + 1
		to := int64(1) << (62 - Shift(level))
		if level < Levels-1 {
			to = (Bucket(since, level+1) + 1) << (Shift(level+1) - Shift(level))
		}
		spans = append(spans, Range{Level: level, From: from, To: to})
	}
	return spans, (Bucket(since, 0) + 1) << Shift(0)
}
