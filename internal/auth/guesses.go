package auth

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// guessBurst failed sign-ins from an address are answered as what they are, and
	// then one in guessEvery.
	guessBurst = 20
	guessEvery = 3 * time.Second
	// maxAddresses bounds what is remembered of addresses.
	maxAddresses = 10_000
)

// guesses counts failed sign-ins per address: of IPv6 per /64, which is what one
// subscriber has.
type guesses struct {
	now func() time.Time

	mu     sync.Mutex
	byHost map[string]*rate.Limiter
}

func newGuesses(now func() time.Time) *guesses {
	return &guesses{now: now, byHost: map[string]*rate.Limiter{}}
}

// failed notes a failed sign-in and returns how long the address has to wait; 0
// where it may try on.
func (g *guesses) failed(address string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, network := g.now(), networkOf(address)
	l := g.byHost[network]
	if l == nil {
		g.makeRoom(now)
		l = rate.NewLimiter(rate.Every(guessEvery), guessBurst)
		g.byHost[network] = l
	}
	if l.AllowN(now, 1) {
		return 0
	}
	return guessEvery
}

// makeRoom forgets addresses that have waited long enough; where none has, all:
// the bound on memory is worth more than the count.
func (g *guesses) makeRoom(now time.Time) {
	if len(g.byHost) < maxAddresses {
		return
	}
	for network, l := range g.byHost {
		if l.TokensAt(now) >= guessBurst {
			delete(g.byHost, network)
		}
	}
	if len(g.byHost) >= maxAddresses {
		clear(g.byHost)
	}
}

func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

func networkOf(address string) string {
	ip, err := netip.ParseAddr(host(address))
	if err != nil {
		return address
	}
	ip = ip.Unmap()
	if ip.Is6() {
		if prefix, err := ip.WithZone("").Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return ip.String()
}
