package task

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Position is a place in the feed, which has the tasks in the order of their last
// changes: behind the change of one task. Whoever goes on from there misses none.
type Position struct {
	// Feed tells the positions of one database from those of another, and from those
	// of before it was restored.
	Feed [8]byte
	// Changed and ID are the order. What is written together has the same Changed.
	Changed int64
	ID      ID // of 32 digits, or "", which comes before all
}

// LastID comes behind all others, or is the last of them.
const LastID ID = "ffffffffffffffffffffffffffffffff"

const positionSize = 8 + 8 + 16

// String returns the position as clients get it, and give it back.
func (p Position) String() string {
	b := make([]byte, positionSize)
	copy(b, p.Feed[:])
	binary.BigEndian.PutUint64(b[8:], uint64(p.Changed)) //nolint:gosec // the bits are what is kept
	_, _ = hex.Decode(b[16:], []byte(p.ID))              // an id is 32 hex digits
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParsePosition reads what String wrote; it reports false for anything else.
func ParsePosition(s string) (Position, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != positionSize {
		return Position{}, false
	}
	p := Position{
		Feed:    [8]byte(b),
		Changed: int64(binary.BigEndian.Uint64(b[8:])), //nolint:gosec // the bits are what was kept
		ID:      ID(hex.EncodeToString(b[16:])),
	}
	return p, p.Changed >= 0
}

// Changed is a task, as it is now, in the feed.
type Changed struct {
	Row
	At Position
}

// Changes is a part of the feed.
type Changes struct {
	Tasks []Changed
	// Next is where to go on: all that lies before it was looked at.
	Next Position
	// More says that more can be read at once.
	More bool
	// Held says that there are changes that cannot be told yet: one that comes before
	// them may still be under way.
	Held bool
	// Lost says that nobody can tell what has changed since the position that was
	// asked for: it is of another feed. Next is now.
	Lost bool
}

// Step is a task's launch, or its end.
type Step struct {
	Kind   Kind
	Status CompletionStatus // InProgress of a launch
}

// Steps returns what becomes of a task with a write: before is nil for a new task. One
// that is new and has ended was launched, too.
func Steps(before, after *Task) []Step {
	var steps []Step
	if before == nil {
		steps = append(steps, Step{Kind: after.Kind})
	}
	if after.Status != InProgress && (before == nil || before.Status == InProgress) {
		steps = append(steps, Step{Kind: after.Kind, Status: after.Status})
	}
	return steps
}

// Open is how many tasks of a kind are queued, or running.
type Open struct {
	Kind   Kind
	State  State
	Tasks  int
	Oldest time.Time // when the oldest of them was created
}
