package httpapi

import (
	"hash/maphash"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"stint/internal/task"
)

// RateLimit is how many requests an access token may make within a time; zero
// requests are no limit.
type RateLimit struct {
	Requests int
	Per      time.Duration
}

const (
	// mostLimited bounds whom a limiter remembers, to some ten megabytes.
	mostLimited = 1 << 16
	// sampled is of how many the most patient is forgotten when that is reached.
	sampled = 8
	// sweepEvery is how often, at most, it looks for those it may forget.
	sweepEvery = time.Second
)

// rateLimiter gives each caller a bucket of requests that fills again steadily.
// It is safe for concurrent use.
type rateLimiter struct {
	refill rate.Limit
	burst  int
	most   int
	now    func() time.Time
	seed   maphash.Seed // hashes mean nothing outside this process

	mu      sync.Mutex
	buckets map[uint64]*rate.Limiter
	swept   time.Time
	sweepAt int
}

// newRateLimiter returns nil where there is no limit.
func newRateLimiter(l RateLimit, most int, now func() time.Time) *rateLimiter {
	if l.Requests <= 0 {
		return nil
	}
	return &rateLimiter{
		refill: rate.Limit(float64(l.Requests) / l.Per.Seconds()), burst: l.Requests, most: most, now: now,
		seed: maphash.MakeSeed(), buckets: map[uint64]*rate.Limiter{}, sweepAt: min(1024, most),
	}
}

// limit refuses a caller who asks too often, before anything costly is done.
func (a *api) limit(next http.Handler) http.Handler {
	if a.limiter == nil {
		return next
	}
	return a.adapt(func(w http.ResponseWriter, r *http.Request) error {
		// Sign-ins have a limit of their own, which no stranger at the same address can
		// use up.
		if path := strings.Trim(r.URL.Path, "/"); path == "oauth/token" || path == "stint/v1/session" && r.Method == http.MethodPost {
			next.ServeHTTP(w, r)
			return nil
		}
		if wait := a.limiter.take(a.limiter.key(r)); wait > 0 {
			return &task.Error{Kind: task.TooMany, Msg: "too many requests with this token", RetryAfter: wait}
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// key names the caller: an access token or a session, or an address where there is
// none.
func (l *rateLimiter) key(r *http.Request) uint64 {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); token != "" {
		// A signature has many spellings, what it signs has one.
		if i := strings.LastIndexByte(token, '.'); i >= 0 {
			token = token[:i]
		}
		return maphash.String(l.seed, "token "+token)
	}
	if session, ok := sessionToken(r); ok {
		return maphash.String(l.seed, "session "+session)
	}
	address := senderFrom(r).address
	if address.Is6() {
		// One household or machine has as many addresses of this range as it likes.
		const network = 64
		address = netip.PrefixFrom(address, network).Masked().Addr()
	}
	return maphash.String(l.seed, "address "+address.String())
}

// take takes a request from a caller's bucket, or says how long to wait for one.
func (l *rateLimiter) take(key uint64) time.Duration {
	now := l.now()
	bucket := l.bucket(key, now)
	taken := bucket.ReserveN(now, 1)
	wait := taken.DelayFrom(now)
	if wait > 0 {
		taken.CancelAt(now)
	}
	return wait
}

func (l *rateLimiter) bucket(key uint64, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[key]; b != nil {
		return b
	}
	if len(l.buckets) >= l.sweepAt && now.Sub(l.swept) >= sweepEvery {
		l.sweep(now)
	}
	if len(l.buckets) >= l.most {
		l.forgetOne(now)
	}
	b := rate.NewLimiter(l.refill, l.burst)
	l.buckets[key] = b
	return b
}

// sweep forgets the buckets that are full again: a new one is the same.
func (l *rateLimiter) sweep(now time.Time) {
	for key, b := range l.buckets {
		if b.TokensAt(now) >= float64(l.burst) {
			delete(l.buckets, key)
		}
	}
	l.swept = now
	l.sweepAt = min(l.most, max(1024, 2*len(l.buckets)))
}

// forgetOne forgets the fullest bucket of a few. Callers without number, with
// tokens that they made up, are not what this limit is against; but whoever asks
// too often should not be forgotten for them.
func (l *rateLimiter) forgetOne(now time.Time) {
	var fullest uint64
	most, seen := 0.0, 0
	for key, b := range l.buckets { // in no order
		if tokens := b.TokensAt(now); seen == 0 || tokens > most {
			fullest, most = key, tokens
		}
		if seen++; seen == sampled {
			break
		}
	}
	delete(l.buckets, fullest)
}
