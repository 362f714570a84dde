package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// calmInterval is how long the queue says a thing once.
const calmInterval = 10 * time.Second

// calm passes on what the queue says, but not its daily life, and not several times
// a second that the database is away.
type calm struct {
	slog.Handler
	said *sayings
}

type sayings struct {
	mu   sync.Mutex
	now  func() time.Time
	last map[string]time.Time // by message: there are as many as the queue's code has
}

func newCalm(h slog.Handler, now func() time.Time) calm {
	return calm{h, &sayings{now: now, last: map[string]time.Time{}}}
}

// Enabled implements slog.Handler.
func (c calm) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && c.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (c calm) Handle(ctx context.Context, r slog.Record) error { //nolint:gocritic // the interface's
	if c.said.lately(r.Message) {
		return nil
	}
	return c.Handler.Handle(ctx, r)
}

// lately notes that a message is said, and reports whether it was a moment ago.
func (s *sayings) lately(message string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if last, known := s.last[message]; known && now.Sub(last).Abs() < calmInterval {
		return true
	}
	s.last[message] = now
	return false
}

// WithAttrs implements slog.Handler.
func (c calm) WithAttrs(attrs []slog.Attr) slog.Handler {
	return calm{c.Handler.WithAttrs(attrs), c.said}
}

// WithGroup implements slog.Handler.
func (c calm) WithGroup(name string) slog.Handler { return calm{c.Handler.WithGroup(name), c.said} }
