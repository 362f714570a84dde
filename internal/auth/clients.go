package auth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/query"
	"stint/internal/task"
)

const (
	// clientAge is how old what is known of a client may be: a revocation by another
	// process takes that long.
	clientAge = 2 * time.Second
	// maxClients bounds what is remembered.
	maxClients = 10_000
)

// clients remembers what was read of clients a moment ago.
type clients struct {
	store Store
	now   func() time.Time

	mu   sync.Mutex
	byID map[task.ID]cachedClient
}

type cachedClient struct {
	principal.Client
	read time.Time
}

func (c *clients) get(ctx context.Context, id task.ID) (principal.Client, error) {
	now := c.now()
	c.mu.Lock()
	known, ok := c.byID[id]
	c.mu.Unlock()
	if age := now.Sub(known.read); ok && age >= 0 && age < clientAge {
		return known.Client, nil
	}
	found, err := c.store.Client(ctx, id)
	if err != nil {
		return principal.Client{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byID) >= maxClients {
		clear(c.byID)
	}
	c.byID[id] = cachedClient{found, now}
	return found, nil
}

func (c *clients) forget(id task.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
}

// CreateClient makes a client and returns it with its secret, which nobody can
// read again. Its id, times and digest are set here.
func (s *Service) CreateClient(ctx context.Context, c principal.Client, reason string, from audit.Origin) (principal.Client, string, error) {
	return CreateClient(ctx, s.store, s.keyring, c, s.now(), reason, from)
}

// CreateClient is the method of a Service, without one.
func CreateClient(
	ctx context.Context, s Store, k *Keyring, c principal.Client, now time.Time, reason string, from audit.Origin,
) (principal.Client, string, error) {
	id, err := task.NewID(now, rand.Reader)
	if err != nil {
		return c, "", fmt.Errorf("create client: %w", err)
	}
	return createClient(ctx, s, k, id, c, now, reason, from)
}

// FirstClient is CreateClient for the first of all: of several processes that make it
// at once one does, and the others get a Conflict.
func (s *Service) FirstClient(ctx context.Context, c principal.Client, reason string, from audit.Origin) (principal.Client, string, error) {
	id := task.ID(hex.EncodeToString(s.keyring.Derive(purposeFirst)[:16]))
	return createClient(ctx, s.store, s.keyring, id, c, s.now(), reason, from)
}

func createClient(
	ctx context.Context, s Store, k *Keyring, id task.ID, c principal.Client, now time.Time, reason string, from audit.Origin,
) (principal.Client, string, error) {
	now = task.Millis(now)
	secret := newSecret()
	c.ID, c.Digest, c.Created, c.Modified = id, k.digest(secret), now, now
	c.Revoked, c.LastUsed, c.Expires = time.Time{}, time.Time{}, millisOrZero(c.Expires)
	if err := c.Check(); err != nil {
		return c, "", err
	}
	after, err := c.MarshalWire()
	if err != nil {
		return c, "", err
	}
	err = s.CreateClient(ctx, c, audit.Entry{
		At: now, Origin: from, Action: audit.ClientCreate, Object: string(id), After: after, Reason: reason,
	})
	return c, secret, err
}

// Client returns a client of a sort. The error is of kind NotFound where there is
// none.
func (s *Service) Client(ctx context.Context, sort principal.Sort, id task.ID) (principal.Client, error) {
	c, err := s.store.Client(ctx, id)
	if err == nil && c.Sort != sort {
		err = task.Errorf(task.NotFound, "", "no %s has the id %s", sort.Word(), id)
	}
	return c, err
}

// ListClients returns a page of the clients of a sort, and the total where the
// page asks for it (else -1).
func (s *Service) ListClients(ctx context.Context, sort principal.Sort, page query.Page) ([]principal.Client, int64, error) {
	return s.store.ListClients(ctx, sort, page)
}

// Revoke ends a client for good. Revoking it again changes nothing.
func (s *Service) Revoke(ctx context.Context, sort principal.Sort, id task.ID, reason string, from audit.Origin) (principal.Client, error) {
	defer s.clients.forget(id)
	return Revoke(ctx, s.store, sort, id, s.now(), reason, from)
}

// Revoke is the method of a Service, without one. What another process remembers
// of the client is gone after two seconds.
func Revoke(
	ctx context.Context, s Store, sort principal.Sort, id task.ID, now time.Time, reason string, from audit.Origin,
) (principal.Client, error) {
	return update(ctx, s, sort, id, audit.ClientRevoke, now, reason, from, func(c *principal.Client, now time.Time) error {
		c.Revoked = now
		return nil
	})
}

// Rotate gives a client another secret, and returns it. The old one is good for
// nothing from now on; access tokens live on until they expire.
func (s *Service) Rotate(
	ctx context.Context, sort principal.Sort, id task.ID, reason string, from audit.Origin,
) (principal.Client, string, error) {
	defer s.clients.forget(id)
	return Rotate(ctx, s.store, s.keyring, sort, id, s.now(), reason, from)
}

// Rotate is the method of a Service, without one.
func Rotate(
	ctx context.Context, s Store, k *Keyring, sort principal.Sort, id task.ID, now time.Time, reason string, from audit.Origin,
) (principal.Client, string, error) {
	secret := newSecret()
	c, err := update(ctx, s, sort, id, audit.ClientRotate, now, reason, from, func(c *principal.Client, _ time.Time) error {
		c.Digest = k.digest(secret)
		return nil
	})
	if err == nil && !c.Revoked.IsZero() {
		err = task.Errorf(task.Conflict, "", "the %s %s was revoked at %s: make another", sort.Word(), id, task.FormatTime(c.Revoked))
	}
	return c, secret, err
}

// update changes a client that was not revoked.
func update(
	ctx context.Context, s Store, sort principal.Sort, id task.ID, action audit.Action, now time.Time, reason string, from audit.Origin,
	change func(*principal.Client, time.Time) error,
) (principal.Client, error) {
	now = task.Millis(now)
	return s.UpdateClient(ctx, id, func(before principal.Client) (principal.Client, *audit.Entry, error) {
		if before.Sort != sort {
			return before, nil, task.Errorf(task.NotFound, "", "no %s has the id %s", sort.Word(), id)
		}
		if !before.Revoked.IsZero() {
			return before, nil, nil
		}
		after := before
		after.Modified = now
		if err := change(&after, now); err != nil {
			return before, nil, err
		}
		was, err := before.MarshalWire()
		if err != nil {
			return before, nil, err
		}
		is, err := after.MarshalWire()
		return after, &audit.Entry{
			At: now, Origin: from, Action: action, Object: string(id), Before: was, After: is, Reason: reason,
		}, err
	})
}

func millisOrZero(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return task.Millis(t)
}
