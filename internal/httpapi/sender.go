package httpapi

import (
	"net/http"
	"net/netip"
	"strings"
)

// sender is where a request comes from, seen through the proxies that are
// trusted.
type sender struct {
	address netip.Addr
	// secure is whether it came over TLS.
	secure bool
}

// senderOf believes what a trusted proxy says, and nobody else. Each proxy adds
// whom it speaks for at the end of X-Forwarded-For: the last address there that
// is no proxy's own is the client's. What stands before it anybody may have
// written.
func (a *api) senderOf(r *http.Request) sender {
	peer, _ := parseAddress(r.RemoteAddr)
	s := sender{address: peer, secure: r.TLS != nil}
	if !a.trusts(peer) {
		return s
	}
	if given := listed(r.Header, "X-Forwarded-Proto"); len(given) > 0 {
		s.secure = strings.EqualFold(given[len(given)-1], "https")
	}
	chain := listed(r.Header, "X-Forwarded-For")
	for i := len(chain) - 1; i >= 0 && a.trusts(s.address); i-- {
		said, ok := parseAddress(chain[i])
		if !ok {
			break
		}
		s.address = said
	}
	return s
}

func (a *api) trusts(address netip.Addr) bool {
	for _, p := range a.proxies {
		if p.Contains(address) {
			return true
		}
	}
	return false
}

// listed returns the members of a header that is a list, from all its lines.
func listed(h http.Header, name string) []string {
	var all []string
	for _, line := range h.Values(name) {
		for _, member := range strings.Split(line, ",") {
			all = append(all, strings.TrimSpace(member))
		}
	}
	return all
}

// parseAddress reads an address, with a port or without, in its one plain form.
func parseAddress(s string) (netip.Addr, bool) {
	if with, err := netip.ParseAddrPort(s); err == nil {
		return with.Addr().Unmap().WithZone(""), true
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return address.Unmap().WithZone(""), err == nil
}

func senderFrom(r *http.Request) sender {
	s, _ := r.Context().Value(senderKey).(sender)
	return s
}

// clientAddress returns the address, without a port, of whoever asks: for the
// log, the audit and limits.
func clientAddress(r *http.Request) string {
	if s := senderFrom(r); s.address.IsValid() {
		return s.address.String()
	}
	return r.RemoteAddr
}
