package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"stint/internal/audit"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// The errors of Open that people meet.
var (
	ErrTooOld   = errors.New("is of a version that Stint does not work with")
	ErrEncoding = errors.New("does not keep its text as UTF-8")
	ErrNotOurs  = errors.New("has tables in the way that are not Stint's")
	ErrNewer    = errors.New("was written by a newer version of Stint")
	ErrOlder    = errors.New("is of an older version of Stint: serve it once with this one")
	ErrEmpty    = errors.New("holds no tables of Stint's")
	ErrOtherKey = errors.New("was begun with another key file, and its audit can only be continued with that one: bring it back, or name it with --key-file")
)

// Options are the settings of a store.
type Options struct {
	// URL of the database, postgres://user:password@host/name. Its search_path, if
	// it has one, names the schema that the tables are in; the schema must exist.
	URL string
	// AuditKey is the key under which the entries of the audit are linked; always
	// the same for one database. Without one, whoever can write to the database can
	// make links too, and the chain proves little.
	AuditKey []byte
	// ReadOnly opens a database that must be there, without the key: nothing may be
	// written that the audit tells of.
	ReadOnly bool
	// Shared leaves the schema as it is, for short writes beside the nodes that have
	// it open: it must be current, or not there.
	Shared bool
	// MaxConns bounds the connections of this process; zero is the URL's
	// pool_max_conns, or else a number that suits the machine. Two more listen.
	MaxConns int
}

// minConns is how many connections a store needs: some to write, some for lists,
// some to look things up meanwhile.
const minConns = 6

// Store is the PostgreSQL store. Open makes one; Close ends it.
type Store struct {
	pool       *pgxpool.Pool
	writes     chan struct{} // holds a token for each write under way
	lists      chan struct{} // holds a token for each list under way
	use        use
	counts     counts
	onTask     TaskHook
	onDelivery DeliveryHook
	// onChange is called behind each write of a task.
	onChange func([]task.Step)
	chain    atomic.Pointer[audit.Chain]
	bus      bus
	faults   sqlrow.Faults
	parts

	closeOnce sync.Once
}

// Open connects, checks that the schema is Stint's, and brings it up to date. Its
// errors wrap ErrTooOld, ErrEncoding, ErrNotOurs, ErrNewer, ErrOlder, ErrEmpty,
// ErrOtherKey or ErrAltered; a schema refused so is left untouched.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	config, err := poolConfig(o)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("the database: %w", err)
	}
	defer func() {
		if err != nil {
			pool.Close()
		}
	}()
	n := int(config.MaxConns)
	s := &Store{
		pool: pool, writes: make(chan struct{}, n/2), lists: make(chan struct{}, n/4), use: use{none: make(chan struct{})},
	}
	if err := s.openParts(); err != nil {
		return nil, err
	}
	schema, err := s.migrate(ctx, o)
	if err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		if err := s.openChain(ctx, o); err != nil {
			return nil, err
		}
		if err := s.checkAuditSchema(ctx); err != nil {
			return nil, err
		}
	}
	s.openBus(schema)
	return s, nil
}

func poolConfig(o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the database: %w", err) // it hides the password
	}
	n := o.MaxConns
	switch {
	case n > 0:
	case saysMaxConns(o.URL):
		n = int(config.MaxConns)
	default:
		n = max(16, 4*runtime.GOMAXPROCS(0))
	}
	config.MaxConns = int32(min(max(n, minConns), 10_000))
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	config.PingTimeout = connectTimeout
	for name, value := range map[string]string{
		"application_name": "stint",
		// A node that stands still in a transaction, or is cut off, must not keep those
		// waiting who take its tasks over.
		"idle_in_transaction_session_timeout": "10s",
	} {
		if config.ConnConfig.RuntimeParams[name] == "" {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	// Whoever gives up ends his statement on the server, and keeps the connection.
	config.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelTimeout}
	}
	return config, nil
}

// patient is for a transaction that may stand still while it waits for whoever it
// reads from or writes to, and keeps nobody waiting who takes over tasks.
const patient = "SET LOCAL idle_in_transaction_session_timeout = '1h'"

// saysMaxConns reports whether a URL says how many connections there may be; where it
// does not, the pool's own default stands in its settings.
func saysMaxConns(of string) bool {
	u, err := url.Parse(of)
	return err == nil && u.Query().Has("pool_max_conns")
}

const (
	connectTimeout = 5 * time.Second
	cancelTimeout  = time.Second
)

// Close waits for what is under way, then closes the connections. It is safe to
// call more than once.
func (s *Store) Close() error {
	<-s.use.close()
	s.closeOnce.Do(func() {
		s.bus.close()
		s.pool.Close()
		s.closeParts()
	})
	return nil
}

// Pool returns the connections, for a queue that keeps its tables in the same
// database.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping reports whether the database can be read.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	return s.readOne(ctx, "ping", func(r reading) error { return r.queryRow("SELECT count(*) FROM settings").Scan(&n) })
}

// use knows what is under way, so that Close can wait for it.
type use struct {
	mu     sync.Mutex
	n      int
	closed bool
	none   chan struct{} // closed once it is closed and nothing is under way
}

// enter begins a use. Its error is errClosed after close.
func (u *use) enter() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return errClosed
	}
	u.n++
	return nil
}

func (u *use) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n--; u.n == 0 && u.closed {
		close(u.none)
	}
}

// close lets nobody begin any more, and returns what is closed when the last one
// has left.
func (u *use) close() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.closed {
		u.closed = true
		if u.n == 0 {
			close(u.none)
		}
	}
	return u.none
}
