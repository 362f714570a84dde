package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/task"
)

// algorithm is the only one that access tokens are signed with.
const algorithm = jose.ES256

const (
	// MaxLifetime is the longest that an access token may live.
	MaxLifetime = 24 * time.Hour
	// leeway is how far the clocks of two machines may differ.
	leeway = 30 * time.Second
	// keysAge is how old what was read of the keys may be; keysRest is how long
	// nothing is read again for a key that nobody knows.
	keysAge  = 30 * time.Second
	keysRest = 2 * time.Second
	// keyAfterlife is how long a retired key verifies: another process may have signed
	// with it a little longer, before it read of the new one.
	keyAfterlife = keysAge + MaxLifetime + leeway
)

// signingKey is a key that signs, or that did.
type signingKey struct {
	id      string
	private *ecdsa.PrivateKey
	retired time.Time
}

// keys are the signing keys of the store, read again when they are old.
type keys struct {
	store   Store
	keyring *Keyring
	now     func() time.Time

	mu   sync.Mutex
	all  []signingKey // the newest first
	read time.Time
}

// ErrOtherKeyFile says that the keys of the database were sealed under another
// key file.
var ErrOtherKeyFile = errors.New("the database was used with another key file")

// NewSigningKey makes a key, sealed.
func (k *Keyring) NewSigningKey(now time.Time) (principal.SigningKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return principal.SigningKey{}, fmt.Errorf("make a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return principal.SigningKey{}, fmt.Errorf("make a signing key: %w", err)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	key := principal.SigningKey{ID: hex.EncodeToString(id[:]), Created: task.Millis(now)}
	if key.Sealed, err = k.seal(purposeSigning, key.ID, der); err != nil {
		return principal.SigningKey{}, fmt.Errorf("seal a signing key: %w", err)
	}
	return key, nil
}

func (k *Keyring) unseal(stored principal.SigningKey) (signingKey, error) {
	der, err := k.open(purposeSigning, stored.ID, stored.Sealed)
	if err != nil {
		return signingKey{}, fmt.Errorf("%w: signing key %s cannot be opened with it", ErrOtherKeyFile, stored.ID)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return signingKey{}, fmt.Errorf("read signing key %s: %w", stored.ID, err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return signingKey{}, fmt.Errorf("signing key %s is of another sort", stored.ID)
	}
	return signingKey{id: stored.ID, private: private, retired: stored.Retired}, nil
}

// RotateKeys makes another key sign from now on. What the old one signed stays
// good until it expires.
func RotateKeys(ctx context.Context, s Store, k *Keyring, now time.Time, from audit.Origin) (principal.SigningKey, error) {
	return addKey(ctx, s, k, false, now, from)
}

// EnsureKey makes the first signing key, where there is none. The error is
// ErrOtherKeyFile where the key file is not the store's.
func EnsureKey(ctx context.Context, s Store, k *Keyring, now time.Time, from audit.Origin) error {
	_, err := addKey(ctx, s, k, true, now, from)
	return err
}

func addKey(ctx context.Context, s Store, k *Keyring, first bool, now time.Time, from audit.Origin) (principal.SigningKey, error) {
	stored, err := s.SigningKeys(ctx)
	if err != nil {
		return principal.SigningKey{}, err
	}
	for _, old := range stored { // a key file that is not this database's would make a mixture
		if _, err := k.unseal(old); err != nil {
			return principal.SigningKey{}, err
		}
	}
	if first && len(stored) > 0 {
		return stored[0], nil
	}
	key, err := k.NewSigningKey(now)
	if err != nil {
		return principal.SigningKey{}, err
	}
	err = s.AddSigningKey(ctx, key, first, now.Add(-keyAfterlife), audit.Entry{
		At: key.Created, Origin: from, Action: audit.KeyRotate, Object: key.ID,
	})
	return key, err
}

// current returns the key that signs.
func (k *keys) current(ctx context.Context) (signingKey, error) {
	all, err := k.load(ctx, keysAge)
	if err != nil {
		return signingKey{}, err
	}
	if len(all) == 0 {
		return signingKey{}, errors.New("there is no signing key")
	}
	return all[0], nil
}

// find returns the key with an id, unless nothing that it signed can still be
// good.
func (k *keys) find(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	for _, age := range []time.Duration{keysAge, keysRest} {
		all, err := k.load(ctx, age)
		if err != nil {
			return nil, err
		}
		for _, key := range all {
			if key.id == id && k.verifies(key) {
				return &key.private.PublicKey, nil
			}
		}
	}
	return nil, refuse("it was signed with an unknown key")
}

func (k *keys) verifies(key signingKey) bool {
	return key.retired.IsZero() || k.now().Before(key.retired.Add(keyAfterlife))
}

// load returns the keys as they were at most age ago.
func (k *keys) load(ctx context.Context, age time.Duration) ([]signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if since := k.now().Sub(k.read); !k.read.IsZero() && since >= 0 && since < age {
		return k.all, nil
	}
	stored, err := k.store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]signingKey, 0, len(stored))
	for _, s := range stored {
		key, err := k.keyring.unseal(s)
		if err != nil {
			return nil, err
		}
		all = append(all, key)
	}
	k.all, k.read = all, k.now()
	return all, nil
}

// public returns the keys that verify, for others to use.
func (k *keys) public(ctx context.Context) (jose.JSONWebKeySet, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	all, err := k.load(ctx, keysRest)
	if err != nil {
		return set, err
	}
	for _, key := range all {
		if k.verifies(key) {
			set.Keys = append(set.Keys, jose.JSONWebKey{
				Key: &key.private.PublicKey, KeyID: key.id, Algorithm: string(algorithm), Use: "sig",
			})
		}
	}
	return set, nil
}
