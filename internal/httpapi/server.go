package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

// Store is what the API reads by itself. Errors are *task.Error.
type Store interface {
	Get(ctx context.Context, id task.ID, since time.Time) (task.Row, error)
	// List returns a page, and the total where the page asks for it (else -1).
	// Rows past the first megabyte come without Wire.
	List(ctx context.Context, page query.Page, since time.Time) ([]task.Row, int64, error)
	// Fill reads the Wire of the first of the rows, a megabyte at a time, and
	// returns how many it has looked at. Those that are gone keep a nil Wire.
	Fill(ctx context.Context, rows []task.Row) (int, error)
	// History is oldest first.
	History(ctx context.Context, id task.ID) ([]task.Event, error)
}

// Tasks are the operations on tasks. Errors are *task.Error.
type Tasks interface {
	// VisibleSince is the time after which a task must have been created to be
	// shown now.
	VisibleSince() time.Time
	Launch(ctx context.Context, l task.Launch, key task.IdempotencyKey, from audit.Origin) (task.Launched, error)
	Report(ctx context.Context, id task.ID, token string, r task.Report) (task.Task, error)
	Cancel(ctx context.Context, id task.ID, reason string, from audit.Origin) (task.Task, error)
	// Clear calls decide inside the transaction, perhaps more than once.
	Clear(ctx context.Context, id task.ID, decide func(task.Task) (*task.Clear, error), words string, from audit.Origin) (task.Task, error)
	// ClearMany returns how many matched, and what became of those whose turn came.
	ClearMany(ctx context.Context, filter query.Expr, c task.ClearMany, from audit.Origin) (int64, []task.Cleared, error)
	// Wait returns when the task is complete or ctx ends, with the task as it is.
	Wait(ctx context.Context, id task.ID) (task.Row, error)
	// Cancelling is what Cancel does to a task, for a store to do; Changed tells of
	// a task that a store has changed.
	Cancelling(reason string, from audit.Origin) audit.UpdateFunc
	Changed(t *task.Task)
}

// Console is the application for browsers.
type Console interface {
	http.Handler
	// IsFile tells the paths of its files from those of its pages.
	IsFile(path string) bool
}

// Feed tells which tasks have changed.
type Feed interface {
	// Follow calls tell with where it begins, at once; then with the tasks that filter
	// accepts, when they have changed, and without any where none has for as long as
	// quiet. It begins behind after; without it, now. It ends with ctx, with the server,
	// or with tell's error; TooMany or Unavailable before it has begun.
	Follow(ctx context.Context, who string, filter query.Expr, after *task.Position, quiet time.Duration,
		tell func(task.Changes) error) error
}

// Options are what the API is built from.
type Options struct {
	Store Store
	Tasks Tasks
	Feed  Feed
	// Statistics reads what is summed up.
	Statistics Statistics
	Sources    Sources
	Audits     Audits
	Accounts   Accounts
	Webhooks   Webhooks
	// Aggregations are those that Stint runs itself; MaxUpload bounds their files,
	// in bytes.
	Aggregations Aggregations
	MaxUpload    int64
	Catalog      *task.Catalog
	// Auth knows who asks; without it everybody may do everything. Issuer is the URL
	// under which the API is known, TenantID the id of this deployment.
	Auth             Auth
	Issuer, TenantID string
	Log              *slog.Logger
	Now              func() time.Time
	// Draining reports that the server is shutting down: what comes in new is
	// answered with 503.
	Draining func() bool
	// HostAllowed, where set, says which hosts may be asked for. A server without
	// tokens serves its loopback names alone: nothing else keeps a page in a
	// browser out whose name was made to point here.
	HostAllowed func(host string) bool
	// TrustedProxies are believed when they say for whom they ask.
	TrustedProxies []netip.Prefix
	// CORSOrigins are the sites whose pages may call the API from a browser.
	CORSOrigins []string
	RateLimit   RateLimit
	// Console, where set, serves the web console.
	Console Console
	// CountRequest, where set, is told of each request that has come, and then what has
	// become of it: the pattern of its route, empty where there is none, its method, its
	// status, 0 where it was broken off, and how long it took, less than 0 of a stream.
	CountRequest func() func(route, method string, status int, took time.Duration)
}

type api struct {
	store   Store
	tasks   Tasks
	feed    Feed
	sources Sources

	statistics Statistics
	audits     Audits
	accounts   Accounts
	webhooks   Webhooks

	aggregations Aggregations
	maxUpload    int64

	auth             Auth // nil where everybody may do everything
	issuer, tenantID string

	catalog  *task.Catalog
	table    *query.Table // of the original's lists
	richer   *query.Table // of Stint's own list of tasks
	log      *slog.Logger
	now      func() time.Time
	draining func() bool

	console     Console // nil where there is none
	hostAllowed func(string) bool
	crossOrigin *http.CrossOriginProtection
	proxies     []netip.Prefix
	limiter     *rateLimiter // nil where there is no limit

	countRequest func() func(route, method string, status int, took time.Duration)
}

// minCompressed is the least body that is worth compressing.
const minCompressed = 1400

// gzipTag ends the entity tag of a compressed answer.
const gzipTag = "-gzip"

// New returns the handler of the whole API.
func New(o Options) (http.Handler, error) {
	a := &api{
		store: o.Store, tasks: o.Tasks, feed: o.Feed, statistics: o.Statistics, sources: o.Sources, audits: o.Audits, accounts: o.Accounts, webhooks: o.Webhooks, catalog: o.Catalog,
		table: query.Tasks(o.Catalog), richer: query.StintTasks(o.Catalog),
		aggregations: o.Aggregations, maxUpload: o.MaxUpload, auth: o.Auth, issuer: o.Issuer, tenantID: o.TenantID, log: o.Log, now: o.Now, draining: o.Draining,
		console: o.Console, hostAllowed: o.HostAllowed, proxies: o.TrustedProxies, limiter: newRateLimiter(o.RateLimit, mostLimited, o.Now),
	}
	if a.countRequest = o.CountRequest; a.countRequest == nil {
		a.countRequest = func() func(string, string, int, time.Duration) { return func(string, string, int, time.Duration) {} }
	}
	var err error
	if a.crossOrigin, err = sameSite(o.CORSOrigins); err != nil {
		return nil, err
	}
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(minCompressed), gzhttp.SuffixETag(gzipTag), gzhttp.EnableZstd(false))
	if err != nil {
		return nil, err
	}
	var h http.Handler = a.mux()
	h = a.plainPath(h)
	h = compress(h)
	h = headAsGet(h)
	h = a.admit(h)
	h = a.limit(h)
	h = crossSite(o.CORSOrigins, h)
	h = harden(h)
	return a.observe(h), nil
}
