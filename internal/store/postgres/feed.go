package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// maxLooked is how many tasks one look at the feed goes over at the most, whether
// its filter takes them or not.
const maxLooked = 2000

// maxTurned is how many tasks one statement moves to the end of the feed.
const maxTurned = 10_000

const (
	// Numbers are not committed in their order. Whoever is about to take one locks one
	// before it, until his transaction has ended: readers see by the locks how far all
	// is decided. Nothing else that goes on on the server holds them back.
	turnSQL = "SELECT pg_advisory_xact_lock_shared(hashtext('feed of ' || current_schema()), (last_value & 2147483647)::int) FROM feed_numbers"
	// The number is the last thing that a write takes.
	changeSQL = `INSERT INTO feed (task_id, changed) SELECT id, n FROM nextval('feed_numbers') n, unnest(?::uuid[]) id
		ON CONFLICT (task_id) DO UPDATE SET changed = excluded.changed`
	unchangeSQL = "DELETE FROM feed WHERE task_id = ?"

	// The order of the two matters, and that the snapshot of what is read comes after
	// them: a number that was given by then, and whose lock is gone, is committed or
	// never will be.
	feedLastSQL = "SELECT last_value, id FROM feed_numbers, feed_origin"
	feedOpenSQL = `SELECT coalesce(max(before), 0) FROM (SELECT (?::bigint - objid::bigint) & 2147483647 AS before FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND classid::bigint = hashtext('feed of ' || current_schema())::bigint & 4294967295 AND objsubid = 2) taken
		WHERE before < 1073741824` // one that was taken since comes behind it

	feedTopSQL  = "SELECT coalesce(max(changed), 0) FROM feed WHERE changed <= ?"
	feedHeldSQL = "SELECT coalesce(max(changed), 0) > ? FROM feed"
	lookEndSQL  = `SELECT changed, task_id FROM feed WHERE (changed, task_id) > (?, ?) AND changed <= ?
		ORDER BY changed, task_id LIMIT 1 OFFSET ?`
	// Each task is looked up by itself: the server would rather read them all, in the
	// belief that there are not many.
	lookSQL = "SELECT changed, t.* FROM (SELECT changed, task_id FROM feed WHERE (changed, task_id) > (?, ?) AND (changed, task_id) <= (?, ?) " +
		"ORDER BY changed, task_id) f CROSS JOIN LATERAL (SELECT " + sqlrow.RowColumns + " FROM tasks WHERE id = f.task_id AND created > ?"
	lookOrderSQL = " LIMIT 1) t ORDER BY changed, task_id LIMIT ?"
)

// OnChange has fn called behind each commit that wrote a task, with what was launched
// and what has ended, but for what was imported; before the first write. It must return
// at once.
func (s *Store) OnChange(fn func([]task.Step)) { s.onChange = fn }

// turnFeed moves the tasks that were written to the end of the feed.
func (t *txn) turnFeed() error {
	if len(t.changed) == 0 {
		return nil
	}
	if err := t.queue(turnSQL); err != nil {
		return err
	}
	ids := make([][]byte, 0, len(t.changed))
	for id := range t.changed {
		ids = append(ids, sqlrow.Blob(id))
	}
	for some := range slices.Chunk(ids, maxTurned) {
		if err := t.queue(changeSQL, some); err != nil {
			return err
		}
	}
	return nil
}

// change notes that a task was written.
func (t *txn) change(before, after *task.Task) {
	if t.changed == nil {
		t.changed = map[task.ID]struct{}{}
	}
	t.changed[after.ID] = struct{}{}
	t.steps = append(t.steps, task.Steps(before, after)...)
}

// feedState is what is known of the feed before it is read.
type feedState struct {
	id [8]byte
	// decided is the number up to which all is committed, or never will be; last is the
	// last that was given.
	decided, last int64
}

func (s *Store) feedState(ctx context.Context) (feedState, error) {
	var f feedState
	err := s.readOne(ctx, "read the feed", func(r reading) error {
		var id []byte
		if err := r.queryRow(feedLastSQL).Scan(&f.last, &id); err != nil {
			return err
		}
		copy(f.id[:], id)
		var undecided int64
		err := r.queryRow(feedOpenSQL, f.last).Scan(&undecided)
		f.decided = f.last - undecided
		return err
	})
	return f, err
}

// end is the position behind all that is decided. It names a number that is committed:
// the others can be lost, and given again, where the server crashes.
func (f *feedState) end(r reading) (task.Position, error) {
	at := task.Position{Feed: f.id, ID: task.LastID}
	err := r.queryRow(feedTopSQL, f.decided).Scan(&at.Changed)
	return at, err
}

// Position returns where the feed ends now.
func (s *Store) Position(ctx context.Context) (task.Position, error) {
	f, err := s.feedState(ctx)
	if err != nil {
		return task.Position{}, err
	}
	var now task.Position
	err = s.readOne(ctx, "read the feed", func(r reading) (err error) {
		now, err = f.end(r)
		return err
	})
	return now, err
}

// Changes returns up to limit of the tasks that have changed since a position, as
// they are now, in the order of their last changes: those that the filter, where it
// is not nil, accepts, and that were created after since. It looks at so many at the
// most, and holds so much of them, that there may be more although there are fewer.
func (s *Store) Changes(
	ctx context.Context, filter query.Expr, after task.Position, since time.Time, limit int,
) (task.Changes, error) {
	f, err := s.feedState(ctx)
	if err != nil {
		return task.Changes{}, err
	}
	var c task.Changes
	err = s.readList(ctx, "read the feed", func(r reading) (err error) {
		c, err = changes(r, &f, filter, after, sqlrow.Since(since), limit)
		return err
	})
	return c, err
}

func changes(r reading, f *feedState, filter query.Expr, after task.Position, since int64, limit int) (task.Changes, error) {
	end, err := f.end(r)
	if err != nil {
		return task.Changes{}, err
	}
	c := task.Changes{Next: end}
	if after.Feed != end.Feed || after.Changed > f.last {
		c.Lost = true
		return c, nil
	}
	from := []any{after.Changed, sqlrow.FeedID(after.ID)}
	var id []byte
	err = r.queryRow(lookEndSQL, from[0], from[1], end.Changed, maxLooked-1).Scan(&c.Next.Changed, &id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		if err := r.queryRow(feedHeldSQL, end.Changed).Scan(&c.Held); err != nil {
			return task.Changes{}, err
		}
		if after.Changed > end.Changed || after == end {
			c.Next = after // what came before it may be deleted
			return c, nil
		}
	case err != nil:
		return task.Changes{}, err
	default:
		c.Next.ID, c.More = sqlrow.ID(id), true
	}
	look := clause{lookSQL, append(from, c.Next.Changed, sqlrow.FeedID(c.Next.ID), since)}
	if filter = query.Simplify(filter); filter != nil {
		own := compile(filter)
		look = clause{look.sql + " AND CASE WHEN " + own.sql + " THEN true END", append(look.args, own.args...)}
	}
	collect := sqlrow.Collector{Changes: &c, Feed: end.Feed, Limit: limit, MaxHeld: maxHeld}
	err = r.each(collect.Scan, look.sql+lookOrderSQL, append(look.args, limit)...)
	if errors.Is(err, sqlrow.ErrEnough) {
		err = nil
	}
	return c, err
}
