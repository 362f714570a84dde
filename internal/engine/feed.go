package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"stint/internal/query"
	"stint/internal/task"
)

const (
	// maxFollowers and maxFollowersOf bound who follows the feed at once, in all and
	// as one principal: each of them reads from storage by himself.
	maxFollowers   = 200
	maxFollowersOf = 20
	// feedBatch is how many tasks are read at once.
	feedBatch = 100
	// feedPause is how long a follower waits at least from one look to the next, so
	// that many changes are told together, and feedPauseEach how much longer for each
	// who follows.
	feedPause     = 100 * time.Millisecond
	feedPauseEach = 2 * time.Millisecond
	// feedHeld is when to look again at what could not be told yet.
	feedHeld = 50 * time.Millisecond
)

// FeedStore is what a Feed needs of storage. Errors are *task.Error.
type FeedStore interface {
	// Position returns where the feed ends now.
	Position(ctx context.Context) (task.Position, error)
	// Changes returns up to limit of the tasks that have changed since a position, in
	// the order of their last changes, of those that filter accepts and that were
	// created after since.
	Changes(ctx context.Context, filter query.Expr, after task.Position, since time.Time, limit int) (task.Changes, error)
}

// Feed tells which tasks have changed. What is stored is the truth: a change that
// nobody told of is found later, and none is told before it is stored. All methods
// are safe for concurrent use.
type Feed struct {
	tasks *Tasks
	store FeedStore
	now   func() time.Time
	log   *slog.Logger
	bell  bell

	mu        sync.Mutex
	followers int
	of        map[string]int
}

// NewFeed returns the feed of tasks.
func NewFeed(tasks *Tasks, store FeedStore, log *slog.Logger) *Feed {
	return &Feed{tasks: tasks, store: store, now: tasks.now, log: log, of: map[string]int{}}
}

// Changed says that a task may have changed. It returns at once.
func (f *Feed) Changed() { f.bell.ring() }

// Following is how many follow the feed now.
func (f *Feed) Following() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.followers
}

// Follow calls tell with where it begins, at once; then with the tasks that filter
// accepts, whenever some of them have changed, in the order of their last changes;
// and without any when that has not happened for as long as quiet. It begins behind
// after; without it, now. It ends without an error when ctx ends or the server stops,
// else with tell's. who is who follows: there is a bound for each.
func (f *Feed) Follow(
	ctx context.Context, who string, filter query.Expr, after *task.Position, quiet time.Duration, tell func(task.Changes) error,
) error {
	leave, err := f.enter(who)
	if err != nil {
		return err
	}
	defer leave()
	w := follower{Feed: f, filter: filter}
	if after != nil {
		w.at = *after
	} else if w.at, err = f.store.Position(ctx); err != nil {
		return err
	}
	err = tell(task.Changes{Next: w.at})
	for err == nil {
		var c task.Changes
		if c, err = w.next(ctx, quiet); err == nil {
			err = tell(c)
		}
	}
	if errors.Is(err, errFollowed) {
		return nil
	}
	return err
}

func (f *Feed) enter(who string) (leave func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.of[who] >= maxFollowersOf:
		err := task.Errorf(task.TooMany, "", "%d streams of events are open for this client; at most %d are", f.of[who], maxFollowersOf)
		err.RetryAfter = lookAgain
		return nil, err
	case f.followers >= maxFollowers:
		err := task.Errorf(task.Unavailable, "", "%d streams of events are open; at most %d are", f.followers, maxFollowers)
		err.RetryAfter = lookAgain
		return nil, err
	}
	f.followers++
	f.of[who]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.followers--
		if f.of[who]--; f.of[who] == 0 {
			delete(f.of, who)
		}
	}, nil
}

// errFollowed ends a follower for whom there is nothing more.
var errFollowed = errors.New("followed to the end")

// follower is one who follows the feed.
type follower struct {
	*Feed
	filter query.Expr
	at     task.Position // up to where it was read
	looked time.Time
}

// next waits for something to tell.
func (w *follower) next(ctx context.Context, quiet time.Duration) (task.Changes, error) {
	silence := time.NewTimer(quiet)
	defer silence.Stop()
	for {
		// Before the look: what changes behind it rings.
		rung := w.bell.next()
		c, err := w.look(ctx)
		switch {
		case err != nil:
			return c, err
		case len(c.Tasks) > 0 || c.Lost:
			return c, nil
		case c.More:
			continue
		case c.Held:
			rung = nil
		}
		wait := lookAgain
		if c.Held {
			wait = feedHeld
		}
		again := time.NewTimer(wait)
		select {
		case <-rung:
		case <-again.C:
		case <-silence.C:
			again.Stop()
			return task.Changes{Next: w.at}, nil
		case <-ctx.Done():
			err = errFollowed
		case <-w.tasks.hub.closed:
			err = errFollowed
		}
		again.Stop()
		if err != nil {
			return c, err
		}
	}
}

// look reads what comes next. A storage that is away for a while ends nobody.
func (w *follower) look(ctx context.Context) (task.Changes, error) {
	if err := w.pause(ctx); err != nil {
		return task.Changes{}, err
	}
	c, err := w.store.Changes(ctx, w.filter, w.at, w.tasks.VisibleSince(), feedBatch)
	w.looked = w.now()
	switch {
	case err == nil:
		w.at = c.Next
	case ctx.Err() != nil:
		err = errFollowed
	case task.KindOf(err) == task.Unavailable:
		w.log.WarnContext(ctx, "cannot look for changed tasks; trying again", slog.Any("error", err))
		return task.Changes{Next: w.at}, nil
	}
	return c, err
}

// pause keeps a follower from looking too often: more than one change a look is told
// at the price of one.
func (w *follower) pause(ctx context.Context) error {
	least := feedPause + time.Duration(w.Following())*feedPauseEach
	left := least - w.now().Sub(w.looked)
	if left <= 0 {
		return nil
	}
	timer := time.NewTimer(min(left, least))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
	case <-w.tasks.hub.closed:
	}
	return errFollowed
}

// bell wakes all that wait for it.
type bell struct {
	mu   sync.Mutex
	rung chan struct{} // nil where nobody waits
}

// next returns what is closed when the bell rings next.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}
