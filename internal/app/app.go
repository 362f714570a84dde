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

	"stint/internal/aggregation"
	"stint/internal/audit"
	"stint/internal/auth"
	"stint/internal/config"
	"stint/internal/console"
	"stint/internal/courier"
	"stint/internal/engine"
	"stint/internal/httpapi"
	"stint/internal/metrics"
	"stint/internal/principal"
	"stint/internal/secretfile"
	"stint/internal/task"
)

// App is one running server. New makes it, Start begins it, Stop ends it.
type App struct {
	cfg   config.Config
	log   *slog.Logger
	store store
	tasks *engine.Tasks
	feed  *engine.Feed
	seen  *metrics.Metrics
	hooks *engine.Webhooks
	jobs  jobs
	auth  *auth.Service // nil without tokens

	courier *courier.Courier

	node    string
	members engine.Members
	cluster *engine.Cluster // nil where this process is alone

	api, ops       *http.Server // api is nil where it is not served
	apiNet, opsNet net.Listener
	tls            *tls.Config // of the API; nil where it is not served over TLS
	loops          []background
	once           []onceLoop // those that run in one process at a time

	leaving  atomic.Bool // not ready, but serving
	draining atomic.Bool
	failed   chan error
	stop     sync.Once
	stopErr  error
}

// background is what goes on beside requests.
type background interface {
	Start(ctx context.Context)
	Stop()
}

// onceLoop is a loop that may be run by one process for all of them.
type onceLoop interface {
	background
	OnlyWhen(when func() bool)
}

// New opens the database and the listeners of valid settings. Nothing is served
// before Start.
func New(ctx context.Context, cfg config.Config, log *slog.Logger, now func() time.Time) (_ *App, err error) {
	a := &App{cfg: cfg, log: log, members: engine.Alone{}, failed: make(chan error, 3)}
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
	if err := a.listen(ctx); err != nil {
		return nil, err
	}
	keys, err := openKeys(ctx, cfg.DB, cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	if a.store, err = openStore(ctx, cfg.DB, opening{auditKey: keys.Derive(auth.PurposeAudit)}); err != nil {
		return nil, err
	}
	bus, _ := a.store.(engine.Bus) // a file has none
	a.tasks = engine.NewTasks(engine.Options{
		Store: a.store, Now: now, Visibility: time.Duration(cfg.Visibility), ReportKey: keys.Derive(auth.PurposeReports), Bus: bus,
	})
	a.feed = engine.NewFeed(a.tasks, a.store, log)
	catalog := task.NewCatalog()
	a.setUpMetrics(catalog, now)
	a.hooks = a.newWebhooks(keys, catalog, now)
	aggregations := aggregation.New(aggregation.Options{Store: a.store, Connector: delimitedFiles{}, Catalog: catalog, Now: now})
	if err := a.setUpJobs(ctx, aggregations, now); err != nil {
		return nil, err
	}
	if err := a.setUpLoops(keys, now); err != nil {
		return nil, err
	}
	a.ops = newServer(a.opsHandler(), defaultLimits(), nil, log, now)
	if !cfg.Role.ServesAPI() {
		return a, nil
	}
	return a, a.setUpAPI(ctx, keys, catalog, aggregations, now)
}

// setUpMetrics makes what counts, and has the store tell it and the feed what it has
// written.
func (a *App) setUpMetrics(catalog *task.Catalog, now func() time.Time) {
	workers := 0
	if a.cfg.Role.RunsTasks() {
		workers = a.cfg.Workers
	}
	a.seen = metrics.New(metrics.Options{
		Store: a.store, Catalog: catalog, Now: now, Log: a.log, Version: config.Version(), Workers: workers, Streams: a.feed.Following,
		Leads: func() bool { return a.members.Leads() }, Working: func() int { return a.jobs.Working() },
	})
	a.store.OnChange(func(steps []task.Step) {
		a.feed.Changed()
		a.seen.Steps(steps)
	})
}

// listen takes the addresses.
func (a *App) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if a.cfg.Role.ServesAPI() {
		if a.apiNet, err = lc.Listen(ctx, "tcp", a.cfg.Listen); err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
	}
	if a.opsNet, err = lc.Listen(ctx, "tcp", a.cfg.OpsListen); err != nil {
		return fmt.Errorf("--ops-listen: %w", err)
	}
	return nil
}

// setUpLoops makes what is done once for all processes.
func (a *App) setUpLoops(keys *auth.Keyring, now func() time.Time) error {
	signer, err := audit.NewSigner(keys.Derive(auth.PurposeAuditHead))
	if err != nil {
		return err
	}
	a.once = append(a.once,
		engine.NewLiveness(a.tasks, a.log), engine.NewRetention(a.tasks, time.Duration(a.cfg.Retention), a.log),
		engine.NewSweep(a.store, a.cluster == nil, now, a.log),
		engine.NewAuditRetention(a.store, signer, time.Duration(a.cfg.AuditRetention), now, a.log),
		engine.NewDispatcher(a.hooks, a.feed, a.log), engine.NewDeliveries(a.store, now, a.log))
	for _, l := range a.once {
		l.OnlyWhen(a.members.Leads)
		a.loops = append(a.loops, l)
	}
	return nil
}

// setUpAPI makes the API.
func (a *App) setUpAPI(
	ctx context.Context, keys *auth.Keyring, catalog *task.Catalog, aggregations *aggregation.Aggregator, now func() time.Time,
) error {
	options := httpapi.Options{
		Store: a.store, Tasks: a.tasks, Feed: a.feed, Statistics: a.store, Sources: a.store, Audits: a.store, Accounts: a.store,
		Webhooks:     a.hooks,
		Aggregations: aggregations, MaxUpload: int64(a.cfg.MaxUpload),
		Catalog: catalog, Log: a.log, Now: now, Draining: a.draining.Load, CountRequest: a.seen.Request,
	}
	if err := a.setUpAuth(ctx, keys, &options); err != nil {
		return err
	}
	options.TrustedProxies, options.CORSOrigins = a.cfg.TrustedProxies, a.cfg.CORSOrigins
	options.RateLimit = httpapi.RateLimit(a.cfg.RateLimit)
	pages, err := console.New()
	if err != nil {
		return fmt.Errorf("open the console: %w", err)
	}
	options.Console = pages
	handler, err := httpapi.New(options)
	if err != nil {
		return fmt.Errorf("build the API: %w", err)
	}
	serving := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
	a.api = newServer(serving, defaultLimits(), a.tls, a.log, now)
	return nil
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
	external := auth.External{
		Issuer: a.cfg.OIDCIssuer, Audience: a.cfg.OIDCAudience, SignIn: auth.ProviderClient{ID: a.cfg.OIDCClientID},
	}
	if a.cfg.OIDCClientSecretFile != "" {
		secret, err := secretfile.Read(a.cfg.OIDCClientSecretFile)
		if err != nil {
			return fmt.Errorf("--oidc-client-secret-file: %w", err)
		}
		external.SignIn.Secret = strings.TrimSpace(string(secret))
	}
	for _, text := range a.cfg.OIDCGrants {
		grant, err := auth.ParseClaimGrant(text)
		if err != nil {
			return fmt.Errorf("--oidc-grant: %w", err)
		}
		external.Grants = append(external.Grants, grant)
	}
	a.auth, err = auth.NewService(ctx, auth.Options{
		Store: a.store, Keyring: keys, Issuer: a.tokenIssuer(o), Lifetime: time.Duration(a.cfg.TokenLifetime),
		SessionLifetime: time.Duration(a.cfg.SessionLifetime), External: external, Now: o.Now, Log: a.log,
	})
	if err != nil {
		return err
	}
	o.Auth = a.auth
	a.loops = append(a.loops, a.auth)
	return nil
}

// tokenIssuer is who access tokens are from: the same on all nodes, which may not
// know each other's addresses.
func (a *App) tokenIssuer(o *httpapi.Options) string {
	if a.cluster == nil || a.cfg.PublicURL != "" {
		return o.Issuer
	}
	return "urn:stint:deployment:" + o.TenantID
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
	c, secret, err := a.auth.FirstClient(ctx, principal.Client{
		Sort: principal.PersonalAccessToken, Name: "first start", User: user,
		Levels: []principal.Level{principal.OrgAdmin}, Scopes: []principal.Scope{principal.AllScopes},
	}, "the first start of this database", audit.System())
	if task.KindOf(err) == task.Conflict {
		return nil, nil //nolint:nilnil // another process was faster, and has told it
	}
	if err != nil {
		return nil, err
	}
	return &FirstToken{ID: string(c.ID), Secret: secret}, nil
}

// FirstToken is what the first start hands out, once.
type FirstToken struct{ ID, Secret string }

// URL returns the address of the API, with the port that was really taken; empty
// where it is not served.
func (a *App) URL() string {
	if a.apiNet == nil {
		return ""
	}
	if a.tls != nil {
		return "https://" + a.apiNet.Addr().String()
	}
	return "http://" + a.apiNet.Addr().String()
}

// OpsURL returns the address of the operations endpoints.
func (a *App) OpsURL() string { return "http://" + a.opsNet.Addr().String() }

// Start serves until Stop. It returns at once.
func (a *App) Start(ctx context.Context) {
	if a.cluster != nil {
		a.cluster.Start(ctx)
	}
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
		if s.server == nil {
			continue
		}
		go func() {
			if err := serve(s.server, s.net); !errors.Is(err, http.ErrServerClosed) {
				a.failed <- err
			}
		}()
	}
	if a.api != nil && a.tls == nil && !config.IsLoopback(a.cfg.Listen) && len(a.cfg.TrustedProxies) == 0 {
		a.log.WarnContext(ctx, "tokens and secrets come over the network in clear: give --tls-cert and --tls-key, or name the proxy that ends TLS with --trusted-proxies")
	}
	a.log.InfoContext(ctx, "serving", slog.String("url", a.URL()), slog.String("ops_url", a.OpsURL()), slog.String("role", string(a.cfg.Role)), slog.String("node", a.node), slog.String("db", config.DatabaseName(a.cfg.DB)))
}

// Run serves until ctx ends, then stops. It is nil after an orderly stop.
func (a *App) Run(ctx context.Context) error {
	// The loops outlive ctx: they are stopped in their turn.
	a.Start(context.WithoutCancel(ctx))
	var failure error
	select {
	case <-ctx.Done():
		failure = a.turnAway()
	case failure = <-a.failed:
	}
	return errors.Join(failure, a.Stop()) //nolint:contextcheck // a stop has its own time, whatever ended the run
}

// turnAway serves on for a while, so that whoever sends requests here can find
// another node.
func (a *App) turnAway() error {
	if a.cfg.ShutdownDelay == 0 {
		return nil
	}
	a.leaving.Store(true)
	a.log.Info("not ready any more; stopping soon", slog.Duration("in", time.Duration(a.cfg.ShutdownDelay)))
	delay := time.NewTimer(time.Duration(a.cfg.ShutdownDelay))
	defer delay.Stop()
	select {
	case <-delay.C:
		return nil
	case err := <-a.failed:
		return err
	}
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
		if a.api != nil {
			if err := a.api.Shutdown(ctx); err != nil {
				a.log.WarnContext(ctx, "some requests were still under way at the end of the shutdown timeout")
			}
		}
		for _, l := range a.loops {
			l.Stop()
		}
		a.leave(ctx)
		_ = a.ops.Shutdown(ctx)
		a.stopErr = a.closeAll()
		a.log.InfoContext(ctx, "stopped")
	})
	return a.stopErr
}

// leave tells the other nodes that this one is gone, so that they need not find out.
func (a *App) leave(ctx context.Context) {
	if a.cluster == nil {
		return
	}
	a.cluster.Stop()
	if err := a.cluster.Leave(ctx); err != nil {
		a.log.WarnContext(ctx, "cannot tell the other nodes that this one is gone", slog.Any("error", err))
	}
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
	if a.courier != nil {
		a.courier.Close()
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
		if a.draining.Load() || a.leaving.Load() {
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		if err := a.store.Ping(r.Context()); err != nil {
			http.Error(w, "the database cannot be read", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	mux.Handle("GET /metrics", a.seen.Handler(a.log))
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
