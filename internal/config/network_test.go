package config_test

import (
	"strings"
	"testing"
	"time"

	"stint/internal/config"
)

func TestRateLimit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		limit   config.RateLimit
		written string
	}{
		"0":          {config.RateLimit{}, "0"},
		"100/10s":    {config.RateLimit{Requests: 100, Per: 10 * time.Second}, "100/10s"},
		"1/1m":       {config.RateLimit{Requests: 1, Per: time.Minute}, "1/1m"},
		"1/90s":      {config.RateLimit{Requests: 1, Per: 90 * time.Second}, "1/1m30s"},
		"5000/1h":    {config.RateLimit{Requests: 5000, Per: time.Hour}, "5000/1h"},
		"1000000/1d": {config.RateLimit{Requests: 1_000_000, Per: 24 * time.Hour}, "1000000/1d"},
		"3/1ms":      {config.RateLimit{Requests: 3, Per: time.Millisecond}, "3/1ms"},
	} {
		var l config.RateLimit
		if err := l.Set(in); err != nil || l != want.limit || l.String() != want.written {
			t.Errorf("%q: got %+v, written %q, %v", in, l, l, err)
		}
		var again config.RateLimit
		if err := again.Set(l.String()); err != nil || again != l {
			t.Errorf("%q: written %q, which is read as %+v, %v", in, l, again, err)
		}
	}
	for _, in := range []string{
		"", "100", "/", "100/", "/10s", "0/10s", "-1/10s", "1.5/10s", "100/0", "100/0s", "100/-10s", "100/10", "100/2d", "1000001/10s",
		"100/10s/1", "100 / 10s", "9999999999/1s", "1/1us", "off",
	} {
		l := config.RateLimit{Requests: 7, Per: 7}
		if err := l.Set(in); err == nil || !strings.Contains(err.Error(), "100/10s") || l.Requests != 7 {
			t.Errorf("%q: got %+v, %v; want an error that gives an example, and the value left", in, l, err)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://console.example.com": "https://console.example.com", "HTTPS://Console.Example.com": "https://console.example.com",
		"http://localhost:3000": "http://localhost:3000", "https://a.example:443": "https://a.example", "http://a.example:80": "http://a.example",
		"http://a.example:443": "http://a.example:443", "http://[::1]:8080": "http://[::1]:8080", "http://127.0.0.1": "http://127.0.0.1",
		"https://a.example, http://b.example:1": "https://a.example,http://b.example:1",
	} {
		var o config.Origins
		if err := o.Set(in); err != nil || o.String() != want {
			t.Errorf("%q: got %q, %v, want %q", in, o, err, want)
		}
	}
	for in, says := range map[string]string{
		"*": "each site", "https://*.example.com": "each site", "null": "any site", "": "not an origin", "example.com": "not an origin",
		"//example.com": "not an origin", "ftp://example.com": "not an origin", "https://": "not an origin", "https://:443": "not an origin",
		"https://a.example/": "not an origin", "https://a.example/path": "not an origin", "https://a.example?q": "not an origin",
		"https://a.example?": "not an origin", "https://a.example#f": "not an origin", "https://a.example#": "not an origin",
		"https://user@a.example": "not an origin", "https://user:secret@a.example": "not an origin", "https://a.example:": "not an origin",
		"https://a.example:0": "no port", "https://a.example:65536": "no port", "https://a.example:x": "not an origin", "https://a.example:080": "no port",
		"https://a b.example": "not an origin", "https://a.example,": "not an origin", "https://a.example,*": "each site", "https://é.example": "ASCII",
		"https://a.example\nb": "not an origin", "javascript:alert(1)": "not an origin", "https://a.example\\b": "not an origin",
	} {
		o := config.Origins{"https://before.example"}
		if err := o.Set(in); err == nil || !strings.Contains(err.Error(), says) || len(o) != 1 {
			t.Errorf("%q: got %q, %v; want an error that says %q, and the value left", in, o, err, says)
		}
	}
	var two config.Origins
	for _, one := range []string{"https://a.example", "https://b.example"} {
		if err := two.Set(one); err != nil {
			t.Fatal(err)
		}
	}
	if two.String() != "https://a.example,https://b.example" {
		t.Errorf("given twice: %q", two)
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "10.1.2.3/8": "10.0.0.0/8", "192.0.2.7": "192.0.2.7/32", "::1": "::1/128", "fd00::/8": "fd00::/8",
		"::ffff:192.0.2.7": "192.0.2.7/32", "127.0.0.1, 10.0.0.0/8": "127.0.0.1/32,10.0.0.0/8",
	} {
		var p config.Prefixes
		if err := p.Set(in); err != nil || p.String() != want {
			t.Errorf("%q: got %q, %v, want %q", in, p, err, want)
		}
	}
	for _, in := range []string{
		"", "10.0.0.0/33", "10.0.0", "localhost", "10.0.0.0/8,", "*", "0.0.0.0/0", "::/0", "fe80::1%eth0", "10.0.0.1:80", "::ffff:10.0.0.0/104", "10.0.0.0/-1",
	} {
		var p config.Prefixes
		if err := p.Set(in); err == nil || len(p) != 0 || !strings.Contains(err.Error(), `"`) {
			t.Errorf("%q: got %q, %v; want an error", in, p, err)
		}
	}
}

func TestTLSNeedsBothFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cert, key string
		fine      bool
	}{"none": {"", "", true}, "both": {"c.pem", "k.pem", true}, "no key": {"c.pem", "", false}, "no certificate": {"", "k.pem", false}} {
		c := config.Default()
		c.InsecureNoAuth, c.TLSCert, c.TLSKey = true, test.cert, test.key
		if err := c.Validate(); (err == nil) != test.fine {
			t.Errorf("%s: got %v", name, err)
		} else if err != nil && (!strings.Contains(err.Error(), "--tls-cert") || !strings.Contains(err.Error(), "--tls-key")) {
			t.Errorf("%s: the error is %q", name, err)
		}
	}
}
