package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"
)

// hand is a clock that a test moves.
type hand struct{ at time.Time }

func (h *hand) now() time.Time { return h.at }

func newLimiterForTest(requests int, per time.Duration, most int) (*rateLimiter, *hand) {
	h := &hand{at: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)}
	return newRateLimiter(RateLimit{Requests: requests, Per: per}, most, h.now), h
}

func TestRateLimiterFillsAgainSteadily(t *testing.T) {
	t.Parallel()
	l, clock := newLimiterForTest(100, 10*time.Second, mostLimited)
	for i := range 100 {
		if wait := l.take(1); wait != 0 {
			t.Fatalf("request %d has to wait for %s", i+1, wait)
		}
	}
	for range 1000 { // who is refused is not punished for asking
		if wait := l.take(1); wait != 100*time.Millisecond {
			t.Fatalf("the 101st has to wait for %s, want 100ms", wait)
		}
	}
	if wait := l.take(2); wait != 0 {
		t.Fatalf("another caller has to wait for %s", wait)
	}
	clock.at = clock.at.Add(100 * time.Millisecond)
	if first, second := l.take(1), l.take(1); first != 0 || second == 0 {
		t.Errorf("after a tenth of a second: %s and %s, want one more request", first, second)
	}
	clock.at = clock.at.Add(time.Hour)
	for i := range 100 {
		if wait := l.take(1); wait != 0 {
			t.Fatalf("after an hour request %d has to wait for %s", i+1, wait)
		}
	}
	if l.take(1) == 0 {
		t.Error("an hour of silence is more than a full bucket")
	}
}

func TestRateLimiterForgetsWhatIsFull(t *testing.T) {
	t.Parallel()
	l, clock := newLimiterForTest(10, 10*time.Second, mostLimited)
	for caller := range uint64(5000) {
		l.take(caller)
	}
	if len(l.buckets) != 5000 {
		t.Fatalf("%d buckets, want 5000", len(l.buckets))
	}
	for range 10 {
		l.take(7)
	}
	// All but the seventh are full again.
	clock.at = clock.at.Add(9 * time.Second)
	for caller := range uint64(2000) {
		l.take(10_000 + caller)
	}
	if n := len(l.buckets); n > 4000 {
		t.Errorf("%d buckets, want those of the last seconds alone", n)
	}
	if l.buckets[7] == nil {
		t.Error("a bucket that is not full is forgotten")
	}
}

// Callers with tokens that they made up must neither fill the memory nor make the
// server forget who asks too often.
func TestRateLimiterIsBounded(t *testing.T) {
	t.Parallel()
	const most = 2000
	l, clock := newLimiterForTest(5, time.Hour, most)
	for range 5 {
		l.take(1)
	}
	for caller := range uint64(50_000) {
		clock.at = clock.at.Add(time.Microsecond)
		l.take(100 + caller)
		if len(l.buckets) > most {
			t.Fatalf("%d buckets, at most %d", len(l.buckets), most)
		}
	}
	if l.take(1) == 0 {
		t.Error("who had asked too often was forgotten")
	}
}

func TestRateLimiterUnderLoad(t *testing.T) {
	t.Parallel()
	l := newRateLimiter(RateLimit{Requests: 50, Per: time.Hour}, 64, time.Now)
	var passed [8]int
	var wait sync.WaitGroup
	for i := range passed {
		wait.Go(func() {
			for n := range 200 {
				if l.take(1) == 0 {
					passed[i]++
				}
				l.take(uint64(i*1000 + n + 2))
			}
		})
	}
	wait.Wait()
	total := 0
	for _, n := range passed {
		total += n
	}
	if total < 50 || total > 60 {
		t.Errorf("%d of 1600 requests passed, want about 50", total)
	}
}

func TestRateLimitKeys(t *testing.T) {
	t.Parallel()
	l, _ := newLimiterForTest(1, time.Second, 10)
	key := func(authorization, address string) uint64 {
		r := &http.Request{Header: http.Header{}}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		s := sender{address: netip.MustParseAddr(address)}
		return l.key(r.WithContext(context.WithValue(t.Context(), senderKey, s)))
	}
	for name, test := range map[string]struct {
		one, other uint64
		same       bool
	}{
		"a token from two places":      {key("Bearer a", "192.0.2.1"), key("Bearer a", "192.0.2.2"), true},
		"two tokens from one place":    {key("Bearer a", "192.0.2.1"), key("Bearer b", "192.0.2.1"), false},
		"a token, written otherwise":   {key("Bearer a", "192.0.2.1"), key("bEARER   a ", "192.0.2.1"), true},
		"a signature, written twice":   {key("Bearer h.p.QA", "192.0.2.1"), key("Bearer h.p.QB", "192.0.2.1"), true},
		"two tokens that are signed":   {key("Bearer h.p.QA", "192.0.2.1"), key("Bearer h.q.QA", "192.0.2.1"), false},
		"no token, two places":         {key("", "192.0.2.1"), key("", "192.0.2.2"), false},
		"no token, one place":          {key("", "192.0.2.1"), key("", "192.0.2.1"), true},
		"no token, one IPv6 network":   {key("", "2001:db8::1"), key("", "2001:db8::ffff:2"), true},
		"no token, two IPv6 networks":  {key("", "2001:db8::1"), key("", "2001:db8:0:1::1"), false},
		"a scheme alone is no token":   {key("Bearer", "192.0.2.1"), key("", "192.0.2.1"), true},
		"a token that is like a place": {key("Bearer address 192.0.2.1", "192.0.2.9"), key("", "192.0.2.1"), false},
	} {
		if (test.one == test.other) != test.same {
			t.Errorf("%s: the same caller: %v, want %v", name, !test.same, test.same)
		}
	}
}

func TestNoRateLimit(t *testing.T) {
	t.Parallel()
	if newRateLimiter(RateLimit{}, 10, time.Now) != nil {
		t.Error("a limiter without a limit")
	}
}

func BenchmarkRateLimiter(b *testing.B) {
	l := newRateLimiter(RateLimit{Requests: 100, Per: 10 * time.Second}, mostLimited, time.Now)
	for i := range 100_000 {
		l.take(maphashOf(l, i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.take(maphashOf(l, i%200_000))
	}
}

func maphashOf(l *rateLimiter, i int) uint64 {
	r := &http.Request{Header: http.Header{"Authorization": {"Bearer " + strconv.Itoa(i)}}}
	return l.key(r)
}
