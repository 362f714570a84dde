package auth

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/query"
	"stint/internal/task"
)

// Store is what signing in needs of storage. Errors are *task.Error: NotFound
// for an unknown client. All methods are safe for concurrent use.
type Store interface {
	CreateClient(ctx context.Context, c principal.Client, entry audit.Entry) error
	Client(ctx context.Context, id task.ID) (principal.Client, error)
	ListClients(ctx context.Context, sort principal.Sort, page query.Page) ([]principal.Client, int64, error)
	// UpdateClient calls fn inside the transaction, perhaps more than once. Without
	// an entry nothing is changed.
	UpdateClient(ctx context.Context, id task.ID,
		fn func(principal.Client) (principal.Client, *audit.Entry, error)) (principal.Client, error)
	SignedIn(ctx context.Context, id task.ID, at time.Time, entry audit.Entry) error
	AddAudit(ctx context.Context, entries []audit.Entry) error
	// SigningKeys returns the newest first.
	SigningKeys(ctx context.Context) ([]principal.SigningKey, error)
	// AddSigningKey retires the others, and deletes those that were retired before a
	// time. With first set it does nothing where there is a key.
	AddSigningKey(ctx context.Context, k principal.SigningKey, first bool, before time.Time, entry audit.Entry) error
}

// Options are the settings of a Service.
type Options struct {
	Store   Store
	Keyring *Keyring
	// Issuer is who access tokens are from and for: the URL of this service.
	Issuer string
	// Lifetime is that of an access token, up to MaxLifetime.
	Lifetime time.Duration
	// SessionLifetime is that of a session of the console, up to MaxSession.
	SessionLifetime time.Duration
	// External, where its issuer is set, is an identity provider that is trusted, too.
	External External
	Now      func() time.Time
	Log      *slog.Logger
}

// Service signs clients in and says who a bearer is. All methods are safe for
// concurrent use.
type Service struct {
	store    Store
	keyring  *Keyring
	issuer   string
	lifetime time.Duration
	session  time.Duration // how long one lasts
	now      func() time.Time
	keys     *keys
	clients  *clients
	verified verified
	external *external
	guesses  *guesses
	refusals *refusals
}

// NewService returns a Service over a store, in which the first ever makes a
// signing key. The error is ErrOtherKeyFile where the key file is not the
// store's.
func NewService(ctx context.Context, o Options) (*Service, error) {
	s := &Service{
		store: o.Store, keyring: o.Keyring, issuer: o.Issuer, lifetime: o.Lifetime, session: o.SessionLifetime, now: o.Now,
		keys:    &keys{store: o.Store, keyring: o.Keyring, now: o.Now},
		clients: &clients{store: o.Store, now: o.Now, byID: map[task.ID]cachedClient{}},
		guesses: newGuesses(o.Now),
	}
	s.refusals = &refusals{store: o.Store, now: o.Now, log: o.Log}
	if o.External.Issuer != "" {
		s.external = newExternal(o.External, o.Now)
	}
	return s, EnsureKey(ctx, o.Store, o.Keyring, o.Now(), audit.System())
}

// Issuer is who access tokens are from.
func (s *Service) Issuer() string { return s.issuer }

// PublicKeys returns the JSON Web Key Set that verifies access tokens (RFC 7517).
func (s *Service) PublicKeys(ctx context.Context) ([]byte, error) {
	set, err := s.keys.public(ctx)
	if err != nil {
		return nil, err
	}
	return json.Marshal(set)
}

// Start begins to write refusals to the audit, a batch at a time.
func (s *Service) Start(ctx context.Context) { s.refusals.start(ctx) }

// Stop writes what is left.
func (s *Service) Stop() { s.refusals.stop() }
