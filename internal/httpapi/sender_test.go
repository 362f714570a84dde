package httpapi

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestSenderOf(t *testing.T) {
	t.Parallel()
	a := &api{proxies: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("fd00::/8"),
	}}
	for name, test := range map[string]struct {
		peer, forwarded, proto string // several lines of a header are parted by |
		tls                    bool
		want                   string
		secure                 bool
	}{
		"no proxy":                      {peer: "192.0.2.1:5", want: "192.0.2.1"},
		"no proxy, IPv6":                {peer: "[2001:db8::1]:5", want: "2001:db8::1"},
		"no proxy, TLS":                 {peer: "192.0.2.1:5", tls: true, want: "192.0.2.1", secure: true},
		"no proxy, but says to be one":  {peer: "192.0.2.1:5", forwarded: "203.0.113.9", proto: "https", want: "192.0.2.1"},
		"no proxy, denies TLS":          {peer: "192.0.2.1:5", proto: "http", tls: true, want: "192.0.2.1", secure: true},
		"says to speak for a proxy":     {peer: "192.0.2.1:5", forwarded: "10.0.0.1", want: "192.0.2.1"},
		"a proxy":                       {peer: "10.0.0.1:5", forwarded: "203.0.113.9", proto: "https", want: "203.0.113.9", secure: true},
		"a proxy that says nothing":     {peer: "10.0.0.1:5", want: "10.0.0.1"},
		"a proxy without TLS before it": {peer: "10.0.0.1:5", forwarded: "203.0.113.9", proto: "http", tls: true, want: "203.0.113.9"},
		"a proxy on IPv6":               {peer: "[fd00::1]:5", forwarded: "2001:db8::7", want: "2001:db8::7"},
		"a proxy on mapped IPv4":        {peer: "[::ffff:10.0.0.1]:5", forwarded: "203.0.113.9", want: "203.0.113.9"},
		"a client on mapped IPv4":       {peer: "10.0.0.1:5", forwarded: "::ffff:203.0.113.9", want: "203.0.113.9"},
		"two proxies":                   {peer: "10.0.0.1:5", forwarded: "203.0.113.9, 10.9.9.9", want: "203.0.113.9"},
		"two proxies, two lines":        {peer: "10.0.0.1:5", forwarded: "203.0.113.9|10.9.9.9", want: "203.0.113.9"},
		"the client lies":               {peer: "10.0.0.1:5", forwarded: "198.51.100.1, 203.0.113.9", want: "203.0.113.9"},
		"the client lies in a line":     {peer: "10.0.0.1:5", forwarded: "198.51.100.1|203.0.113.9", want: "203.0.113.9"},
		"the client says to be a proxy": {peer: "10.0.0.1:5", forwarded: "198.51.100.1, 10.1.1.1, 203.0.113.9", want: "203.0.113.9"},
		"the client lies, two proxies":  {peer: "10.0.0.1:5", forwarded: "127.0.0.1, 203.0.113.9, 10.9.9.9", want: "203.0.113.9"},
		"proxies only":                  {peer: "10.0.0.1:5", forwarded: "10.0.0.3, 10.0.0.2", want: "10.0.0.3"},
		"nonsense at the end":           {peer: "10.0.0.1:5", forwarded: "203.0.113.9, unknown", want: "10.0.0.1"},
		"nonsense before a proxy":       {peer: "10.0.0.1:5", forwarded: "203.0.113.9, <script>, 10.0.0.2", want: "10.0.0.2"},
		"empty":                         {peer: "10.0.0.1:5", forwarded: ", ,", want: "10.0.0.1"},
		"with a port":                   {peer: "10.0.0.1:5", forwarded: "203.0.113.9:1234", want: "203.0.113.9"},
		"IPv6 with a port":              {peer: "10.0.0.1:5", forwarded: "[2001:db8::7]:1234", want: "2001:db8::7"},
		"IPv6 in brackets":              {peer: "10.0.0.1:5", forwarded: "[2001:db8::7]", want: "2001:db8::7"},
		"a zone":                        {peer: "10.0.0.1:5", forwarded: "fe80::1%eth0", want: "fe80::1"},
		"a proxy's proto is the last":   {peer: "10.0.0.1:5", proto: "https, http", want: "10.0.0.1"},
		"a proxy's proto in a line":     {peer: "10.0.0.1:5", proto: "http|HTTPS", want: "10.0.0.1", secure: true},
		"a socket":                      {peer: "@", forwarded: "203.0.113.9", want: "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: test.peer, Header: http.Header{}}
			for header, value := range map[string]string{"X-Forwarded-For": test.forwarded, "X-Forwarded-Proto": test.proto} {
				for _, line := range strings.Split(value, "|") {
					if value != "" {
						r.Header.Add(header, line)
					}
				}
			}
			if test.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if got := a.senderOf(r); got.address.String() != test.want || got.secure != test.secure {
				t.Errorf("got %s, over TLS: %v; want %s, %v", got.address, got.secure, test.want, test.secure)
			}
			if got := (&api{}).senderOf(r); got.secure != test.tls || test.peer != "@" && !strings.Contains(strings.ReplaceAll(test.peer, "::ffff:", ""), got.address.String()) {
				t.Errorf("without trusted proxies: got %s, over TLS: %v", got.address, got.secure)
			}
		})
	}
}

func FuzzSenderOf(f *testing.F) {
	f.Add("10.0.0.1:1", "203.0.113.9, 10.0.0.2")
	f.Add("10.0.0.1:1", "[::1]:80,%,::ffff:1.2.3.4%x")
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		a := &api{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		got, alone := a.senderOf(r).address, (&api{}).senderOf(r).address
		if !a.trusts(alone) && got != alone {
			t.Errorf("%q for %q is believed: %s", peer, forwarded, got)
		}
		if got.Is4In6() || got.Zone() != "" {
			t.Errorf("%s is not in its plain form", got)
		}
	})
}
