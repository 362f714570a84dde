package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

const (
	// clearPage is how many tasks are held at once.
	clearPage = query.MaxLimit
	// clearedAtOnce is how many are cleared beside each other: their writes share what it
	// costs to make them last.
	clearedAtOnce = 8
)

// ClearMany clears the tasks in progress that a filter selects, each in a transaction of
// its own with its audit entry, where it is looked at again: what does not match any more
// is left alone. It returns how many matched at first, and what became of those whose turn
// came. What is done twice has no second effect. The error is of kind Unavailable where
// storage could not take it: what was cleared until then stays so.
func (s *Tasks) ClearMany(
	ctx context.Context, filter query.Expr, c task.ClearMany, from audit.Origin,
) (matched int64, all []task.Cleared, err error) {
	var inProgress query.Expr = query.Null{Field: query.FieldStatus}
	if filter != nil {
		inProgress = query.And{Terms: []query.Expr{inProgress, filter}}
	}
	by := query.Sorter{Field: query.FieldCreated}
	page := query.Page{Count: true, Filter: inProgress, Sort: []query.Sorter{by}}
	for len(all) < c.Limit {
		page.Limit = min(c.Limit-len(all), clearPage)
		rows, total, err := s.store.List(ctx, page, s.VisibleSince())
		if err != nil {
			return matched, all, err
		}
		if page.Count {
			matched, page.Count = total, false
		}
		some, err := s.named(ctx, rows)
		if err == nil {
			err = s.clearSome(ctx, &c, inProgress, some, from)
		}
		if err != nil {
			return matched, all, err
		}
		all = append(all, some...)
		if len(rows) < page.Limit {
			break
		}
		last := &rows[len(rows)-1]
		page.After = &query.Position{Created: last.Created, ID: last.ID}
	}
	return matched, all, nil
}

// named takes from rows what people know tasks by, and leaves the rest.
func (s *Tasks) named(ctx context.Context, rows []task.Row) ([]task.Cleared, error) {
	named := make([]task.Cleared, len(rows))
	filled := 0
	for i := range rows {
		if rows[i].Wire == nil && i >= filled {
			n, err := s.store.Fill(ctx, rows[i:])
			if err != nil {
				return nil, err
			}
			filled = i + n
		}
		named[i].Row = rows[i]
		if rows[i].Wire == nil {
			continue // gone meanwhile
		}
		var status struct{ UniqueName, Launcher string }
		if err := json.Unmarshal(rows[i].Wire, &status); err != nil {
			return nil, fmt.Errorf("read stored task %s: %w", rows[i].ID, err)
		}
		named[i].UniqueName, named[i].Launcher = status.UniqueName, status.Launcher
		named[i].Row.Wire, rows[i].Wire = nil, nil
	}
	return named, nil
}

// clearSome clears tasks, a few beside each other.
func (s *Tasks) clearSome(ctx context.Context, c *task.ClearMany, still query.Expr, some []task.Cleared, from audit.Origin) error {
	turns := make(chan int)
	failed := make(chan error, clearedAtOnce)
	var wg sync.WaitGroup
	for range min(clearedAtOnce, len(some)) {
		wg.Go(func() {
			for i := range turns {
				if err := s.clearOne(ctx, c, still, &some[i], from); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var err error
	for i := range some {
		select {
		case turns <- i:
			continue
		case err = <-failed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		break
	}
	close(turns)
	wg.Wait()
	close(failed)
	for late := range failed {
		err = late
	}
	return err
}

// clearOne clears one task. Its error is one that the others would meet, too.
func (s *Tasks) clearOne(ctx context.Context, c *task.ClearMany, still query.Expr, one *task.Cleared, from audit.Origin) error {
	if one.Err = c.May(one.Row.SourceID); one.Err != nil || c.DryRun {
		return nil //nolint:nilerr // it is of this one alone
	}
	_, err := s.Clear(ctx, one.Row.ID, func(t task.Task) (*task.Clear, error) {
		if one.Changed = !query.Match(still, query.TaskValues(&t)); one.Changed {
			return nil, nil //nolint:nilnil // asks for nothing
		}
		clearing := c.Clear
		return &clearing, nil
	}, c.Words, from)
	kind := task.KindOf(err)
	if one.Changed = one.Changed || kind == task.NotFound; one.Changed {
		return nil
	}
	if kind == task.Conflict || kind == task.IllegalUpdate || kind == task.IllegalValue {
		one.Err = err
		return nil
	}
	return err
}
