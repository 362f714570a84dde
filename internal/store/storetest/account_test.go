package storetest_test

import (
	"context"

	"stint/internal/account"
	"stint/internal/query"
	"stint/internal/store/storetest"
	"stint/internal/task"
)

// otherRecords asks for other pages of accounts than it was asked for.
type otherRecords struct {
	storetest.Store
	change func(*query.Page)
}

func (b otherRecords) ListAccounts(ctx context.Context, page query.Page) ([]account.Stored, int64, error) {
	b.change(&page)
	return b.Store.ListAccounts(ctx, page)
}

func (b otherRecords) ListEntitlements(ctx context.Context, page query.Page) ([]account.Stored, int64, error) {
	b.change(&page)
	return b.Store.ListEntitlements(ctx, page)
}

// wholePrefix takes "starts with" for "equals".
func wholePrefix(p *query.Page) {
	if e, ok := p.Filter.(query.Prefix); ok {
		p.Filter = query.Compare{Field: e.Field, Values: []string{e.Value}}
	}
}

// remembering shows what it has once shown, whatever became of it.
type remembering struct {
	storetest.Store
	seen map[task.ID]account.Stored
}

func (b remembering) Account(ctx context.Context, id task.ID) (account.Stored, error) {
	if a, ok := b.seen[id]; ok {
		return a, nil
	}
	a, err := b.Store.Account(ctx, id)
	if err == nil {
		b.seen[id] = a
	}
	return a, err
}

// unfilled leaves records as they are.
type unfilled struct{ storetest.Store }

func (b unfilled) FillRecords(_ context.Context, _ account.Class, records []account.Stored) (int, error) {
	return len(records), nil
}

// unfilteredChanges shows all that a run has changed.
type unfilteredChanges struct{ storetest.Store }

func (b unfilteredChanges) ListChanges(ctx context.Context, id task.ID, page query.Page) ([]account.Changed, int64, error) {
	page.Filter = nil
	return b.Store.ListChanges(ctx, id, page)
}
