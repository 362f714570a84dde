package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// maxLooked is how many tasks one look at the feed goes over at the most, whether
// its filter takes them or not.
const maxLooked = 2000

const (
	// changedSQL is the number of the transaction under way, for the rows that it
	// writes; turnFeedSQL gives the next one another, at its end.
	changedSQL  = "(SELECT changed + 1 FROM feed)"
	turnFeedSQL = "UPDATE feed SET changed = changed + 1"

	feedSQL    = "SELECT id, changed FROM feed"
	lookEndSQL = `SELECT changed, id FROM tasks INDEXED BY tasks_changed WHERE changed IS NOT NULL AND (changed, id) > (?, ?)
		ORDER BY changed, id LIMIT 1 OFFSET ?`
	lookSQL = "SELECT changed, " + sqlrow.RowColumns + ` FROM tasks INDEXED BY tasks_changed
		WHERE changed IS NOT NULL AND (changed, id) > (?, ?) AND (changed, id) <= (?, ?) AND created > ?`
)

// OnChange has fn called behind each commit that wrote a task, with what was launched
// and what has ended, but for what was imported; before the first write. It must return
// at once.
func (s *Store) OnChange(fn func([]task.Step)) { s.onChange = fn }

// Position returns where the feed ends now.
func (s *Store) Position(ctx context.Context) (task.Position, error) {
	var now task.Position
	err := s.readOne(ctx, "read the feed", func(r reading) (err error) {
		now, err = r.feedEnd()
		return err
	})
	return now, err
}

func (r reading) feedEnd() (task.Position, error) {
	now := task.Position{ID: task.LastID}
	var id []byte
	err := r.queryRow(feedSQL).Scan(&id, &now.Changed)
	copy(now.Feed[:], id)
	return now, err
}

// Changes returns up to limit of the tasks that have changed since a position, as
// they are now, in the order of their last changes: those that the filter, where it
// is not nil, accepts, and that were created after since. It looks at so many at the
// most, and holds so much of them, that there may be more although there are fewer.
func (s *Store) Changes(
	ctx context.Context, filter query.Expr, after task.Position, since time.Time, limit int,
) (task.Changes, error) {
	var c task.Changes
	err := s.readList(ctx, "read the feed", func(r reading) (err error) {
		c, err = changes(r, filter, after, sqlrow.Since(since), limit)
		return err
	})
	return c, err
}

func changes(r reading, filter query.Expr, after task.Position, since int64, limit int) (task.Changes, error) {
	end, err := r.feedEnd()
	if err != nil {
		return task.Changes{}, err
	}
	if after.Feed != end.Feed || after.Changed > end.Changed {
		return task.Changes{Next: end, Lost: true}, nil
	}
	c := task.Changes{Next: end}
	from := []any{after.Changed, sqlrow.FeedID(after.ID)}
	var id []byte
	err = r.queryRow(lookEndSQL, from[0], from[1], maxLooked-1).Scan(&c.Next.Changed, &id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return task.Changes{}, err
	default:
		c.Next.ID, c.More = sqlrow.ID(id), true
	}
	look := clause{lookSQL, append(from, c.Next.Changed, sqlrow.FeedID(c.Next.ID), since)}
	if filter = query.Simplify(filter); filter != nil {
		own := compile(filter)
		look = clause{look.sql + " AND " + own.sql, append(look.args, own.args...)}
	}
	collect := sqlrow.Collector{Changes: &c, Feed: end.Feed, Limit: limit, MaxHeld: maxHeld}
	err = r.each(collect.Scan, look.sql+" ORDER BY changed, id LIMIT ?", append(look.args, limit)...)
	if errors.Is(err, sqlrow.ErrEnough) {
		err = nil
	}
	return c, err
}
