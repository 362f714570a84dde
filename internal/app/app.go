// Package app wires the program together: it is the only place that knows which
// store, engine and API make a server.
//
// It owns construction, start and stop. A setup that fails half-way is undone;
// a stop refuses new requests, lets those under way finish, and then closes the
// store.
package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river/riverdriver/riversqlite"

	"stint/internal/aggregation"
	"stint/internal/audit"
	"stint/internal/auth"
	"stint/internal/config"
	"stint/internal/engine"
	"stint/internal/httpapi"
	"stint/internal/principal"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// App is one running server. New makes it, Start begins it, Stop ends it.
type App struct {
	cfg   config.Config
	log   *slog.Logger
	store *sqlite.Store
	tasks *engine.Tasks
	jobs  *engine.Jobs[*sql.Tx]
	auth  *auth.Service // nil without tokens

	api, ops       *http.Server
	apiNet, opsNet net.Listener
	tls            *tls.Config // of the API; nil where it is not served over TLS
	loops          []interface {
		Start(ctx context.Context)
		Stop()
	}

	draining atomic.Bool
	failed   chan error
	stop     sync.Once
	stopErr  error
}

// New opens the database and the listeners of valid settings. Nothing is served
// before Start.
func New(ctx context.Context, cfg config.Config, log *slog.Logger, now func() time.Time) (_ *App, err error) {
	a := &App{cfg: cfg, log: log, failed: make(chan error, 3)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.closeAll())
		}
	}()
	// What may fail first first: then no database is made.
	if cfg.TLSCert != "" {
		c, err := openCertificate(ctx, cfg.TLSCert, cfg.TLSKey, log, now)
		if err != nil {
			return nil, err
		}
		a.tls = c.config()
	}
	var lc net.ListenConfig
	if a.apiNet, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if a.opsNet, err = lc.Listen(ctx, "tcp", cfg.OpsListen); err != nil {
		return nil, fmt.Errorf("--ops-listen: %w", err)
	}
	keys, err := openKeys(ctx, cfg.DB, cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	if a.store, err = sqlite.Open(ctx, sqlite.Options{Path: cfg.DB, AuditKey: keys.Derive(auth.PurposeAudit)}); err != nil {
		return nil, err
	}
	a.tasks = engine.NewTasks(engine.Options{
		Store: a.store, Now: now, Visibility: time.Duration(cfg.Visibility), ReportKey: keys.Derive(auth.PurposeReports),
	})
	catalog := task.NewCatalog()
	aggregations := aggregation.New(aggregation.Options{Store: a.store, Connector: delimitedFiles{}, Catalog: catalog, Now: now})
	if err := a.setUpJobs(ctx, aggregations, now); err != nil {
		return nil, err
	}
	options := httpapi.Options{
		Store: a.store, Tasks: a.tasks, Sources: a.store, Audits: a.store, Accounts: a.store,
		Aggregations: aggregations, MaxUpload: int64(cfg.MaxUpload),
		Catalog: catalog, Log: log, Now: now, Draining: a.draining.Load,
	}
	if err := a.setUpAuth(ctx, keys, &options); err != nil {
		return nil, err
	}
	options.TrustedProxies, options.CORSOrigins, options.RateLimit = cfg.TrustedProxies, cfg.CORSOrigins, httpapi.RateLimit(cfg.RateLimit)
	handler, err := httpapi.New(options)
	if err != nil {
		return nil, fmt.Errorf("build the API: %w", err)
	}
	signer, err := audit.NewSigner(keys.Derive(auth.PurposeAuditHead))
	if err != nil {
		return nil, err
	}
	a.api = newServer(handler, defaultLimits(), a.tls, log, now)
	a.ops = newServer(a.opsHandler(), defaultLimits(), nil, log, now)
	a.loops = append(a.loops,
		engine.NewLiveness(a.tasks, log), engine.NewRetention(a.tasks, time.Duration(cfg.Retention), log),
		engine.NewSweep(a.store, now, log), engine.NewAuditRetention(a.store, signer, time.Duration(cfg.AuditRetention), now, log))
	return a, nil
}

// setUpAuth has the API ask who asks, unless it is served without tokens.
func (a *App) setUpAuth(ctx context.Context, keys *auth.Keyring, o *httpapi.Options) error {
	id, err := a.store.Setting(ctx, "deployment", []byte(newDeploymentID()))
	if err != nil {
		return err
	}
	o.TenantID, o.Issuer = string(id), cmp.Or(strings.TrimRight(a.cfg.PublicURL, "/"), a.URL())
	if a.cfg.InsecureNoAuth {
		o.HostAllowed = config.IsLoopback
		return nil
	}
	external := auth.External{Issuer: a.cfg.OIDCIssuer, Audience: a.cfg.OIDCAudience}
	for _, text := range a.cfg.OIDCGrants {
		grant, err := auth.ParseClaimGrant(text)
		if err != nil {
			return fmt.Errorf("--oidc-grant: %w", err)
		}
		external.Grants = append(external.Grants, grant)
	}
	a.auth, err = auth.NewService(ctx, auth.Options{
		Store: a.store, Keyring: keys, Issuer: o.Issuer, Lifetime: time.Duration(a.cfg.TokenLifetime), External: external,
		Now: o.Now, Log: a.log,
	})
	if err != nil {
		return err
	}
	o.Auth = a.auth
	a.loops = append(a.loops, a.auth)
	return nil
}

func newDeploymentID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// FirstToken makes the token of the first administrator, where no client was ever
// made; nil where there is nothing to do.
func (a *App) FirstToken(ctx context.Context, user string) (*FirstToken, error) {
	if a.auth == nil {
		return nil, nil //nolint:nilnil // without tokens there is none to make
	}
	if any, err := a.store.AnyClient(ctx); err != nil || any {
		return nil, err
	}
	c, secret, err := a.auth.CreateClient(ctx, principal.Client{
		Sort: principal.PersonalAccessToken, Name: "first start", User: user,
		Levels: []principal.Level{principal.OrgAdmin}, Scopes: []principal.Scope{principal.AllScopes},
	}, "the first start of this database", audit.System())
	if err != nil {
		return nil, err
	}
	return &FirstToken{ID: string(c.ID), Secret: secret}, nil
}

// FirstToken is what the first start hands out, once.
type FirstToken struct{ ID, Secret string }

// setUpJobs makes the queue, in the same file, and has it follow every task.
func (a *App) setUpJobs(ctx context.Context, executor engine.Executor, now func() time.Time) (err error) {
	a.jobs, err = engine.NewJobs(ctx, engine.JobOptions[*sql.Tx]{
		Driver: riversqlite.New(a.store.DB()), Tasks: a.tasks, Store: a.store, Executor: executor,
		Workers: a.cfg.Workers, Poll: time.Duration(a.cfg.Poll), Log: a.log, Now: now,
	})
	if err != nil {
		return err
	}
	a.store.OnTask(a.jobs.Follow)
	return nil
}

// URL returns the address of the API, with the port that was really taken.
func (a *App) URL() string {
	if a.tls != nil {
		return "https://" + a.apiNet.Addr().String()
	}
	return "http://" + a.apiNet.Addr().String()
}

// OpsURL returns the address of the operations endpoints.
func (a *App) OpsURL() string { return "http://" + a.opsNet.Addr().String() }

// Start serves until Stop. It returns at once.
func (a *App) Start(ctx context.Context) {
	for _, l := range a.loops {
		l.Start(ctx)
	}
	if err := a.jobs.Start(ctx); err != nil {
		a.failed <- err
	}
	for _, s := range []struct {
		server *http.Server
		net    net.Listener
	}{{a.api, a.apiNet}, {a.ops, a.opsNet}} {
		go func() {
			if err := serve(s.server, s.net); !errors.Is(err, http.ErrServerClosed) {
				a.failed <- err
			}
		}()
	}
	if a.tls == nil && !config.IsLoopback(a.cfg.Listen) && len(a.cfg.TrustedProxies) == 0 {
		a.log.WarnContext(ctx, "tokens and secrets come over the network in clear: give --tls-cert and --tls-key, or name the proxy that ends TLS with --trusted-proxies")
	}
	a.log.InfoContext(ctx, "serving", slog.String("url", a.URL()), slog.String("ops_url", a.OpsURL()), slog.String("db", a.cfg.DB))
}

// Run serves until ctx ends, then stops. It is nil after an orderly stop.
func (a *App) Run(ctx context.Context) error {
	// The loops outlive ctx: they are stopped in their turn.
	a.Start(context.WithoutCancel(ctx))
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-a.failed:
	}
	return errors.Join(failure, a.Stop()) //nolint:contextcheck // a stop has its own time, whatever ended the run
}

// Stop refuses new requests, waits for those under way (no longer than the
// shutdown timeout), and closes the store. It is safe to call more than once.
func (a *App) Stop() error {
	a.stop.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(a.cfg.ShutdownTimeout))
		defer cancel()
		a.log.InfoContext(ctx, "stopping")
		a.draining.Store(true)
		a.tasks.Close()
		if err := a.jobs.Stop(ctx); err != nil {
			a.log.WarnContext(ctx, "some tasks were still running at the end of the shutdown timeout", slog.Any("error", err))
		}
		if err := a.api.Shutdown(ctx); err != nil {
			a.log.WarnContext(ctx, "some requests were still under way at the end of the shutdown timeout")
		}
		for _, l := range a.loops {
			l.Stop()
		}
		_ = a.ops.Shutdown(ctx)
		a.stopErr = a.closeAll()
		a.log.InfoContext(ctx, "stopped")
	})
	return a.stopErr
}

func (a *App) closeAll() error {
	for _, s := range []*http.Server{a.api, a.ops} {
		if s != nil {
			_ = s.Close()
		}
	}
	for _, l := range []net.Listener{a.apiNet, a.opsNet} {
		if l != nil {
			_ = l.Close() // closed already where a server had it
		}
	}
	if a.store == nil {
		return nil
	}
	return a.store.Close()
}

// opsHandler serves what operators and their probes ask.
func (a *App) opsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if a.draining.Load() {
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		if err := a.store.Ping(r.Context()); err != nil {
			http.Error(w, "the database cannot be read", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	if !config.IsLoopback(a.cfg.OpsListen) {
		return mux
	}
	// A page in a browser may have a name that was made to point here.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "" && !config.IsLoopback(r.Host) {
			http.Error(w, "this listens on loopback only: ask for 127.0.0.1, [::1] or localhost", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
