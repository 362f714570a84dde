package apptest

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/internal/app"
	"stint/internal/config"
	"stint/internal/store/postgres/pgtest"
)

// Options say how a Server is started. The zero value is an empty server with
// the default settings.
type Options struct {
	// Import is loaded first, as the import command does: one task a line.
	Import []byte
	// Now is the server's clock; nil is the real one.
	Now func() time.Time
	// Configure changes the settings.
	Configure func(*config.Config)
	// Tokens has the server ask for access tokens. Server.Send sends the first
	// administrator's where a request brings none.
	Tokens bool
	// Postgres has the server keep its tasks in PostgreSQL.
	Postgres bool
	// Log takes the server's log; nil drops it.
	Log slog.Handler
}

// Server is the program, running in the test's process on ports and a database
// of its own.
type Server struct {
	App  *app.App
	Addr string // host and port of the API
	URL  string // base URL of the API
	DB   string // path of the database file, or its URL

	admin Client
	token string // an access token of admin; empty where the server asks for none
}

// Start starts a server that lives as long as the test.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.DiscardHandler
	}
	cfg := config.Default()
	cfg.DB = filepath.Join(tb.TempDir(), "stint.db")
	cfg.Listen, cfg.OpsListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Poll = config.Duration(2 * time.Second)
	cfg.InsecureNoAuth = !o.Tokens
	if o.Postgres {
		cfg.DB, cfg.KeyFile = pgtest.URL(tb), filepath.Join(tb.TempDir(), "stint.key")
	}
	if o.Configure != nil {
		o.Configure(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		tb.Fatalf("settings: %v", err)
	}
	if config.IsPostgres(cfg.DB) {
		importTasks(tb, cfg, o)
	} else {
		putDatabase(tb, cfg.DB, o)
	}
	// A server outlives the context of the test that started it: clean-ups speak
	// to it.
	ctx := context.WithoutCancel(tb.Context())
	a, err := app.New(ctx, cfg, slog.New(o.Log), o.Now)
	if err != nil {
		tb.Fatalf("set up a server: %v", err)
	}
	a.Start(ctx)
	tb.Cleanup(func() {
		if err := a.Stop(); err != nil {
			tb.Errorf("stop the server: %v", err)
		}
	})
	s := &Server{App: a, Addr: strings.TrimPrefix(a.URL(), "http://"), URL: a.URL(), DB: cfg.DB}
	if o.Tokens {
		s.signInFirst(tb)
	}
	return s
}

// Send sends a request to the server; see the function of that name.
func (s *Server) Send(tb testing.TB, r Request) Answer {
	tb.Helper()
	if _, given := r.Header["Authorization"]; s.token != "" && !given {
		header := map[string]string{"Authorization": "Bearer " + s.token}
		maps.Copy(header, r.Header)
		r.Header = header
	}
	return Send(tb, s.Addr, r)
}

// databases holds what servers start from, by what was imported into it: to make
// one takes longer than most tests.
var databases struct {
	sync.Mutex
	key   []byte // of all of them
	files map[string][]byte
}

// putDatabase puts a database that holds the tasks, and its key, where the server
// will look for them. One that Configure has put there stays.
func putDatabase(tb testing.TB, db string, o Options) {
	tb.Helper()
	if _, err := os.Stat(db); err == nil {
		return
	}
	databases.Lock()
	defer databases.Unlock()
	if databases.files == nil {
		databases.files = map[string][]byte{"": emptyDatabase(tb)}
	}
	file, known := databases.files[string(o.Import)]
	if !known {
		file = importOnce(tb, o)
		databases.files[string(o.Import)] = file
	}
	write(tb, db, file)
	write(tb, config.KeyFilePath(db, ""), databases.key)
}

// emptyDatabase makes the database of a server that was started once.
func emptyDatabase(tb testing.TB) []byte {
	tb.Helper()
	cfg := config.Default()
	cfg.DB = filepath.Join(tb.TempDir(), "empty.db")
	cfg.Listen, cfg.OpsListen, cfg.InsecureNoAuth = "127.0.0.1:0", "127.0.0.1:0", true
	a, err := app.New(context.WithoutCancel(tb.Context()), cfg, slog.New(slog.DiscardHandler), time.Now)
	if err == nil {
		err = a.Stop()
	}
	if err != nil {
		tb.Fatalf("make an empty database: %v", err)
	}
	databases.key = read(tb, config.KeyFilePath(cfg.DB, ""))
	return closedFile(tb, cfg.DB)
}

func importOnce(tb testing.TB, o Options) []byte {
	tb.Helper()
	db := filepath.Join(tb.TempDir(), "imported.db")
	write(tb, db, databases.files[""])
	write(tb, config.KeyFilePath(db, ""), databases.key)
	importTasks(tb, config.Config{DB: db}, o)
	return closedFile(tb, db)
}

// importTasks loads the tasks of a server into its database.
func importTasks(tb testing.TB, cfg config.Config, o Options) {
	tb.Helper()
	if len(o.Import) == 0 {
		return
	}
	result, err := app.Import(tb.Context(), app.ImportOptions{
		DB: cfg.DB, KeyFile: cfg.KeyFile, In: bytes.NewReader(o.Import), Name: "tasks.ndjson", Actor: "test", Now: o.Now,
		Hash: func() string { return "" },
	})
	if err != nil {
		tb.Fatalf("import: %v", err)
	}
	if lines := bytes.Count(bytes.TrimSpace(o.Import), []byte("\n")) + 1; result.Added != lines {
		tb.Fatalf("imported %+v of %d lines", result, lines)
	}
}

// closedFile reads a database that nobody has open.
func closedFile(tb testing.TB, db string) []byte {
	tb.Helper()
	if _, err := os.Stat(db + "-wal"); err == nil {
		tb.Fatal("a write-ahead log was left behind: the file alone is not the database")
	}
	return read(tb, db)
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func write(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}
