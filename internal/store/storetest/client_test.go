package storetest_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/query"
	"stint/internal/store/storetest"
	"stint/internal/task"
)

func brokenClients() map[string]breaks {
	type s = storetest.Store
	return map[string]breaks{
		"expiry of a client lost":              {"client keeps every field", func(in s) s { return eternal{in} }},
		"audit entry of a client lost":         {"client keeps every field", func(in s) s { return unauditedClient{in} }},
		"failed update of a client written":    {"client update", func(in s) s { return stubbornClient{in} }},
		"revoked client comes back":            {"client update", func(in s) s { return forgiving{in} }},
		"sign-in of a client not noted":        {"client update", func(in s) s { return unseen{in} }},
		"change of a client outside":           {"client updates at once", func(in s) s { return lostClient{in} }},
		"filter of clients ignored":            {"client list", func(in s) s { return otherClients{in, noFilter} }},
		"second sorter of clients ignored":     {"client list", func(in s) s { return otherClients{in, firstSorterAlone} }},
		"sorts of clients mixed":               {"client list", func(in s) s { return anySort{in} }},
		"signing keys oldest first":            {"signing keys", func(in s) s { return upsideDown{in} }},
		"retired keys kept for ever":           {"signing keys", func(in s) s { return keepsake{in} }},
		"first key although there is one":      {"signing keys", func(in s) s { return eager{in} }},
		"first key although there is one, too": {"first signing key at once", func(in s) s { return racing{in} }},
	}
}

type eternal struct{ storetest.Store }

func (b eternal) CreateClient(ctx context.Context, c principal.Client, e audit.Entry) error {
	c.Expires = time.Time{}
	return b.Store.CreateClient(ctx, c, e)
}

type unauditedClient struct{ storetest.Store }

func (b unauditedClient) CreateClient(ctx context.Context, c principal.Client, _ audit.Entry) error {
	return b.Store.CreateClient(ctx, c, audit.Entry{})
}

type updateClient = func(principal.Client) (principal.Client, *audit.Entry, error)

// stubbornClient keeps what a function made before it failed.
type stubbornClient struct{ storetest.Store }

func (b stubbornClient) UpdateClient(ctx context.Context, id task.ID, fn updateClient) (principal.Client, error) {
	var failure error
	c, err := b.Store.UpdateClient(ctx, id, func(c principal.Client) (principal.Client, *audit.Entry, error) {
		var e *audit.Entry
		c, e, failure = fn(c)
		return c, e, nil
	})
	return c, errors.Join(failure, err)
}

// forgiving writes without an entry.
type forgiving struct{ storetest.Store }

func (b forgiving) UpdateClient(ctx context.Context, id task.ID, fn updateClient) (principal.Client, error) {
	return b.Store.UpdateClient(ctx, id, func(c principal.Client) (principal.Client, *audit.Entry, error) {
		c, e, err := fn(c)
		if e == nil {
			e = &audit.Entry{}
		}
		return c, e, err
	})
}

type unseen struct{ storetest.Store }

func (b unseen) SignedIn(ctx context.Context, _ task.ID, _ time.Time, e audit.Entry) error {
	return b.AddAudit(ctx, []audit.Entry{e})
}

// lostClient decides outside the transaction that writes.
type lostClient struct{ storetest.Store }

func (b lostClient) UpdateClient(ctx context.Context, id task.ID, fn updateClient) (principal.Client, error) {
	seen, err := b.Client(ctx, id)
	if err != nil {
		return seen, err
	}
	c, e, err := fn(seen)
	return b.Store.UpdateClient(ctx, id, func(principal.Client) (principal.Client, *audit.Entry, error) { return c, e, err })
}

// otherClients lists another page than the one asked for.
type otherClients struct {
	storetest.Store
	change func(*query.Page)
}

func (b otherClients) ListClients(ctx context.Context, sort principal.Sort, page query.Page) ([]principal.Client, int64, error) {
	b.change(&page)
	return b.Store.ListClients(ctx, sort, page)
}

type anySort struct{ storetest.Store }

func (b anySort) ListClients(ctx context.Context, sort principal.Sort, page query.Page) ([]principal.Client, int64, error) {
	found, n, err := b.Store.ListClients(ctx, sort, page)
	if err == nil && len(found) == 0 && page.Limit > 0 {
		return b.Store.ListClients(ctx, principal.Application, page)
	}
	return found, n, err
}

type upsideDown struct{ storetest.Store }

func (b upsideDown) SigningKeys(ctx context.Context) ([]principal.SigningKey, error) {
	keys, err := b.Store.SigningKeys(ctx)
	slices.Reverse(keys)
	return keys, err
}

type keepsake struct{ storetest.Store }

func (b keepsake) AddSigningKey(ctx context.Context, k principal.SigningKey, first bool, _ time.Time, e audit.Entry) error {
	return b.Store.AddSigningKey(ctx, k, first, time.Time{}, e)
}

type eager struct{ storetest.Store }

func (b eager) AddSigningKey(ctx context.Context, k principal.SigningKey, _ bool, before time.Time, e audit.Entry) error {
	return b.Store.AddSigningKey(ctx, k, false, before, e)
}

// racing looks whether there is a key before it writes.
type racing struct{ storetest.Store }

func (b racing) AddSigningKey(ctx context.Context, k principal.SigningKey, first bool, before time.Time, e audit.Entry) error {
	keys, err := b.SigningKeys(ctx)
	if err != nil || first && len(keys) > 0 {
		return err
	}
	return b.Store.AddSigningKey(ctx, k, false, before, e)
}
