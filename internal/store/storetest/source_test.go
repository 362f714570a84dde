package storetest_test

import (
	"context"
	"errors"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/store/storetest"
	"stint/internal/task"
)

// namesakes gives a source whose name is taken another name.
type namesakes struct{ storetest.Store }

func (b namesakes) CreateSource(ctx context.Context, s source.Source, e audit.Entry) error {
	err := b.Store.CreateSource(ctx, s, e)
	if task.KindOf(err) == task.Conflict {
		s.Name += " of " + string(s.ID)
		err = b.Store.CreateSource(ctx, s, e)
	}
	return err
}

type unauditedSource struct{ storetest.Store }

func (b unauditedSource) CreateSource(ctx context.Context, s source.Source, _ audit.Entry) error {
	return b.Store.CreateSource(ctx, s, audit.Entry{})
}

// stubbornSource keeps what a function made before it failed.
type stubbornSource struct{ storetest.Store }

func (b stubbornSource) UpdateSource(
	ctx context.Context, id task.ID, fn func(source.Source) (source.Source, *audit.Entry, error),
) (source.Source, error) {
	var failure error
	s, err := b.Store.UpdateSource(ctx, id, func(s source.Source) (source.Source, *audit.Entry, error) {
		var e *audit.Entry
		s, e, failure = fn(s)
		return s, e, nil
	})
	return s, errors.Join(failure, err)
}

// deletesAnyway does not hear that a deletion is refused.
type deletesAnyway struct{ storetest.Store }

func (b deletesAnyway) DeleteSource(
	ctx context.Context, id task.ID, end audit.UpdateFunc, entry func(source.Deletion) (audit.Entry, error),
) (source.Deletion, error) {
	var failure error
	gone, err := b.Store.DeleteSource(ctx, id, end, func(d source.Deletion) (audit.Entry, error) {
		var e audit.Entry
		e, failure = entry(d)
		return e, nil
	})
	return gone, errors.Join(failure, err)
}

// otherSources lists another page than the one asked for.
type otherSources struct {
	storetest.Store
	change func(*query.Page)
}

func (b otherSources) ListSources(ctx context.Context, page query.Page) ([]source.Source, int64, error) {
	b.change(&page)
	return b.Store.ListSources(ctx, page)
}

func noFilter(p *query.Page) { p.Filter = nil }

func firstSorterAlone(p *query.Page) { p.Sort = p.Sort[:1] }
