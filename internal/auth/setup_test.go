package auth

import (
	"context"
	"crypto/ecdsa"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const issuer = "https://stint.example.com"

// clock is the time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 24, 23, 40, 50, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is a Service on a store of its own.
type bench struct {
	*Service
	clock   *clock
	store   Store
	sqlite  *sqlite.Store // the same
	keyring *Keyring
	db      string
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	b := &bench{clock: newClock(), keyring: someKeyring(tb, 1), db: filepath.Join(tb.TempDir(), "stint.db")}
	b.sqlite = openStore(tb, b.db, false)
	b.store = b.sqlite
	b.Service = b.service(tb, b.store)
	return b
}

func someKeyring(tb testing.TB, first byte) *Keyring {
	tb.Helper()
	k, err := NewKeyring(append([]byte{first}, make([]byte, keySize-1)...))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func openStore(tb testing.TB, path string, shared bool) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(tb.Context(), sqlite.Options{Path: path, Shared: shared, AuditKey: []byte("key")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// service returns another Service with the same key file.
func (b *bench) service(tb testing.TB, s Store) *Service {
	tb.Helper()
	made, err := NewService(tb.Context(), Options{
		Store: s, Keyring: b.keyring, Issuer: issuer, Lifetime: time.Hour, SessionLifetime: time.Hour, Now: b.clock.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func person() audit.Origin {
	return audit.Origin{Actor: "p", Address: "[::1]:1", Agent: "a", RequestID: "r"}
}

// made is a client with its secret.
type made struct {
	principal.Client
	secret string
}

// client makes a personal access token of an administrator for reading tasks and
// managing sources.
func (b *bench) client(tb testing.TB, change ...func(*principal.Client)) made {
	tb.Helper()
	c := principal.Client{
		Sort: principal.PersonalAccessToken, Name: "n", User: "u", Levels: []principal.Level{principal.OrgAdmin},
		Scopes: []principal.Scope{principal.TasksRead, principal.SourcesManage},
	}
	for _, fn := range change {
		fn(&c)
	}
	c, secret, err := b.CreateClient(tb.Context(), c, "", person())
	if err != nil {
		tb.Fatal(err)
	}
	return made{c, secret}
}

func (b *bench) signIn(tb testing.TB, c made) string {
	tb.Helper()
	grant, err := b.SignIn(tb.Context(), string(c.ID), c.secret, "", person())
	if err != nil {
		tb.Fatal(err)
	}
	return grant.AccessToken
}

// private returns the key that signs now.
func (b *bench) private(tb testing.TB) (string, *ecdsa.PrivateKey) {
	tb.Helper()
	stored, err := b.store.SigningKeys(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	key, err := b.keyring.unseal(stored[0])
	if err != nil {
		tb.Fatal(err)
	}
	return key.id, key.private
}

func wantKind(tb testing.TB, err error, kind task.ErrorKind) {
	tb.Helper()
	if err == nil || task.KindOf(err) != kind {
		tb.Fatalf("got the error %v, want one of kind %d", err, kind)
	}
}

// faulty is a store that fails when it is told to.
type faulty struct {
	Store
	mu           sync.Mutex
	fault, audit error // of reads, and of AddAudit
}

func (f *faulty) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = err
}

func (f *faulty) failAudit(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.audit = err
}

func (f *faulty) faults() (reads, audit error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault, f.audit
}

func (f *faulty) AddAudit(ctx context.Context, entries []audit.Entry) error {
	if _, err := f.faults(); err != nil {
		return err
	}
	return f.Store.AddAudit(ctx, entries)
}

func (f *faulty) SigningKeys(ctx context.Context) ([]principal.SigningKey, error) {
	if err, _ := f.faults(); err != nil {
		return nil, err
	}
	return f.Store.SigningKeys(ctx)
}

func (f *faulty) Client(ctx context.Context, id task.ID) (principal.Client, error) {
	if err, _ := f.faults(); err != nil {
		return principal.Client{}, err
	}
	return f.Store.Client(ctx, id)
}
