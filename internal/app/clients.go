package app

import (
	"context"
	"errors"
	"time"

	"stint/internal/audit"
	"stint/internal/auth"
	"stint/internal/principal"
	"stint/internal/query"
	"stint/internal/task"
)

// OfflineOptions say which database is worked on, and for whom.
type OfflineOptions struct {
	DB      string
	KeyFile string // empty: beside the database
	Actor   string
	Agent   string
	Now     func() time.Time
	// Make makes key file and database where there are none.
	Make bool
}

// Offline works on clients and keys in the database itself, also while a server
// has it open.
type Offline struct {
	store store
	keys  *auth.Keyring
	from  audit.Origin
	now   func() time.Time
}

// OpenOffline opens a database; Close ends it.
func OpenOffline(ctx context.Context, o OfflineOptions) (*Offline, error) {
	if !o.Make {
		if err := mustExist(o.DB); err != nil {
			return nil, err
		}
	}
	keys, err := openKeys(ctx, o.DB, o.KeyFile)
	if err != nil {
		return nil, err
	}
	store, err := openStore(ctx, o.DB, opening{auditKey: keys.Derive(auth.PurposeAudit), shared: true})
	if err != nil {
		return nil, err
	}
	off := &Offline{store: store, keys: keys, from: audit.Origin{Actor: o.Actor, Agent: o.Agent}, now: o.Now}
	// A key file that is not this database's would make secrets that its server refuses.
	if err := auth.EnsureKey(ctx, store, keys, o.Now(), audit.System()); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return off, nil
}

// Close releases the database.
func (o *Offline) Close() error { return o.store.Close() }

// CreateClient makes a client and returns it with its secret.
func (o *Offline) CreateClient(ctx context.Context, c principal.Client, reason string) (principal.Client, string, error) {
	return auth.CreateClient(ctx, o.store, o.keys, c, o.now(), reason, o.from)
}

// Clients calls add for each client of a sort, by name.
func (o *Offline) Clients(ctx context.Context, sort principal.Sort, add func(*principal.Client) error) error {
	page, err := query.Clients(sort).ParsePage("")
	if err != nil {
		return err
	}
	for {
		found, _, err := o.store.ListClients(ctx, sort, page)
		if err != nil {
			return err
		}
		for i := range found {
			if err := add(&found[i]); err != nil {
				return err
			}
		}
		if len(found) < page.Limit {
			return nil
		}
		page.Offset += len(found)
	}
}

// Revoke ends a client for good; a server knows within two seconds.
func (o *Offline) Revoke(ctx context.Context, sort principal.Sort, id task.ID, reason string) (principal.Client, error) {
	return auth.Revoke(ctx, o.store, sort, id, o.now(), reason, o.from)
}

// Rotate gives a client another secret, and returns it.
func (o *Offline) Rotate(ctx context.Context, sort principal.Sort, id task.ID, reason string) (principal.Client, string, error) {
	return auth.Rotate(ctx, o.store, o.keys, sort, id, o.now(), reason, o.from)
}

// RotateKeys makes another key sign access tokens, and returns its id.
func (o *Offline) RotateKeys(ctx context.Context) (string, error) {
	key, err := auth.RotateKeys(ctx, o.store, o.keys, o.now(), o.from)
	return key.ID, err
}
