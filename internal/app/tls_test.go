package app_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stint/internal/app"
	"stint/internal/apptest"
	"stint/internal/config"
)

// pair is a certificate for localhost and its key, in PEM form.
type pair struct{ cert, key []byte }

func newPair(t *testing.T, name string, until time.Time) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	}
}

// tlsFiles are where a server under test reads its certificate.
type tlsFiles struct {
	t         *testing.T
	cert, key string
}

func newTLSFiles(t *testing.T, p pair) *tlsFiles {
	t.Helper()
	dir := t.TempDir()
	f := &tlsFiles{t, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	f.put(f.cert, p.cert, 0o644)
	f.put(f.key, p.key, 0o600)
	return f
}

// put replaces a file at once, as those who renew certificates do.
func (f *tlsFiles) put(path string, data []byte, mode os.FileMode) {
	f.t.Helper()
	if err := os.WriteFile(path+".new", data, mode); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
}

// clock can be set forward; it never is behind the real time, which deadlines of
// connections follow.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

func startTLS(t *testing.T, f *tlsFiles, c *clock, log slog.Handler) *apptest.Server {
	t.Helper()
	return apptest.Start(t, apptest.Options{Now: c.now, Log: log, Configure: func(cfg *config.Config) {
		cfg.TLSCert, cfg.TLSKey = f.cert, f.key
	}})
}

// trusting returns a client that trusts the pairs alone.
func trusting(t *testing.T, pairs ...pair) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	for _, p := range pairs {
		roots.AppendCertsFromPEM(p.cert)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// seen is what a test looks at of an answer.
type seen struct {
	status, proto int
	header        http.Header
}

func fetch(t *testing.T, c *http.Client, url string) seen {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return seen{answer.StatusCode, answer.ProtoMajor, answer.Header}
}

// servedName is the name in the certificate that a new connection is shown.
func servedName(t *testing.T, addr string) string {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}

func tlsAddr(s *apptest.Server) string { return strings.TrimPrefix(s.App.URL(), "https://") }

func TestTLS(t *testing.T) {
	t.Parallel()
	first := newPair(t, "first", time.Now().Add(time.Hour))
	server := startTLS(t, newTLSFiles(t, first), &clock{}, nil)
	if !strings.HasPrefix(server.App.URL(), "https://127.0.0.1:") {
		t.Fatalf("the URL is %s", server.App.URL())
	}
	answer := fetch(t, trusting(t, first), server.App.URL()+"/task-status/v1")
	if answer.status != 200 || answer.proto != 2 {
		t.Errorf("got %d by HTTP/%d, want 200 by HTTP/2", answer.status, answer.proto)
	}
	for version, fine := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}}
		conn, err := dialer.DialContext(t.Context(), "tcp", tlsAddr(server))
		if (err == nil) != fine {
			t.Errorf("%s: got %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	plain := fetch(t, http.DefaultClient, "http://"+tlsAddr(server)+"/task-status/v1")
	if plain.status != 400 {
		t.Errorf("without TLS: got %d, want 400", plain.status)
	}
	if ops := fetch(t, http.DefaultClient, server.App.OpsURL()+"/healthz"); ops.status != 200 {
		t.Errorf("operations: got %d, want 200 without TLS", ops.status)
	}
}

func TestANewCertificateIsServedWithoutARestart(t *testing.T) {
	t.Parallel()
	first, second := newPair(t, "first", time.Now().Add(time.Hour)), newPair(t, "second", time.Now().Add(time.Hour))
	files, clock := newTLSFiles(t, first), &clock{}
	server := startTLS(t, files, clock, nil)
	alive := trusting(t, first)
	url := server.App.URL() + "/task-status/v1"
	fetch(t, alive, url)

	files.put(files.cert, second.cert, 0o644)
	clock.forward(2 * time.Second)
	if name := servedName(t, tlsAddr(server)); name != "first" {
		t.Errorf("between the two files: %q is served, want the old one", name)
	}
	files.put(files.key, second.key, 0o600)
	clock.forward(2 * time.Second)
	if name := servedName(t, tlsAddr(server)); name != "second" {
		t.Errorf("%q is served, want the new one", name)
	}
	// What was connected stays so: it would not trust the new one.
	if answer := fetch(t, alive, url); answer.status != 200 {
		t.Errorf("an open connection: got %d", answer.status)
	}
	if answer := fetch(t, trusting(t, second), url); answer.status != 200 {
		t.Errorf("a new connection: got %d", answer.status)
	}
}

func TestTheFilesAreLookedAtOnceASecond(t *testing.T) {
	t.Parallel()
	first, second := newPair(t, "first", time.Now().Add(time.Hour)), newPair(t, "second", time.Now().Add(time.Hour))
	files := newTLSFiles(t, first)
	at := time.Now()
	get, err := app.Certificate(t.Context(), files.cert, files.key, slog.DiscardHandler, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	files.put(files.cert, second.cert, 0o644)
	files.put(files.key, second.key, 0o600)
	at = at.Add(999 * time.Millisecond)
	if name := get(t.Context()).Leaf.Subject.CommonName; name != "first" {
		t.Errorf("within the second: %q", name)
	}
	at = at.Add(time.Millisecond)
	if name := get(t.Context()).Leaf.Subject.CommonName; name != "second" {
		t.Errorf("after it: %q", name)
	}
}

func TestABrokenCertificateLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	first, other := newPair(t, "first", time.Now().Add(time.Hour)), newPair(t, "other", time.Now().Add(time.Hour))
	for name, harm := range map[string]func(f *tlsFiles){
		"no PEM":      func(f *tlsFiles) { f.put(f.cert, []byte("nothing"), 0o644) },
		"empty":       func(f *tlsFiles) { f.put(f.key, nil, 0o600) },
		"cut off":     func(f *tlsFiles) { f.put(f.cert, other.cert[:len(other.cert)/2], 0o644) },
		"another key": func(f *tlsFiles) { f.put(f.key, other.key, 0o600) },
		"gone":        func(f *tlsFiles) { _ = os.Remove(f.key) },
		"both gone":   func(f *tlsFiles) { _ = os.Remove(f.key); _ = os.Remove(f.cert) },
		"open to all": func(f *tlsFiles) { _ = os.Chmod(f.key, 0o644) },
		"written by all": func(f *tlsFiles) {
			f.put(f.cert, other.cert, 0o644)
			f.put(f.key, other.key, 0o600)
			_ = os.Chmod(f.key, 0o602)
		},
		"a directory now": func(f *tlsFiles) { _ = os.Remove(f.cert); _ = os.Mkdir(f.cert, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, at, log := newTLSFiles(t, first), time.Now(), &bytes.Buffer{}
			get, err := app.Certificate(t.Context(), files.cert, files.key, slog.NewTextHandler(log, nil), func() time.Time { return at })
			if err != nil {
				t.Fatal(err)
			}
			harm(files)
			for range 5 {
				at = at.Add(time.Second)
				if name := get(t.Context()).Leaf.Subject.CommonName; name != "first" {
					t.Fatalf("%q is served", name)
				}
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
				t.Errorf("%d errors in the log, want one:\n%s", n, log)
			}
			if strings.Contains(log.String(), "PRIVATE") {
				t.Errorf("the log holds a key:\n%s", log)
			}
			// And it is not stuck there.
			_ = os.Remove(files.cert)
			files.put(files.cert, other.cert, 0o644)
			files.put(files.key, other.key, 0o640)
			at = at.Add(time.Second)
			if name := get(t.Context()).Leaf.Subject.CommonName; name != "other" {
				t.Errorf("mended: %q is served", name)
			}
		})
	}
}

func TestACertificateThatIsWrongAtTheStartIsRefused(t *testing.T) {
	t.Parallel()
	good, other := newPair(t, "good", time.Now().Add(time.Hour)), newPair(t, "other", time.Now().Add(time.Hour))
	for name, test := range map[string]struct {
		harm func(f *tlsFiles)
		says string
	}{
		"key open to all":     {func(f *tlsFiles) { _ = os.Chmod(f.key, 0o644) }, "0644"},
		"no key":              {func(f *tlsFiles) { _ = os.Remove(f.key) }, "--tls-key"},
		"no certificate":      {func(f *tlsFiles) { _ = os.Remove(f.cert) }, "--tls-cert"},
		"another's key":       {func(f *tlsFiles) { f.put(f.key, other.key, 0o600) }, "--tls-key"},
		"files the other way": {func(f *tlsFiles) { f.cert, f.key = f.key, f.cert; _ = os.Chmod(f.key, 0o600) }, "--tls-cert"},
		"a key for a password": {func(f *tlsFiles) {
			f.put(f.key, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), 0o600)
		}, "--tls-key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := newTLSFiles(t, good)
			test.harm(files)
			cfg := config.Default()
			cfg.DB, cfg.Listen, cfg.OpsListen, cfg.InsecureNoAuth = filepath.Join(t.TempDir(), "stint.db"), "127.0.0.1:0", "127.0.0.1:0", true
			cfg.TLSCert, cfg.TLSKey = files.cert, files.key
			_, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler), time.Now)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v, want an error that says %q", err, test.says)
			}
			if _, err := os.Stat(cfg.DB); err == nil {
				t.Error("a database was made")
			}
		})
	}
}

func TestAnExpiredCertificateIsServedWithAWarning(t *testing.T) {
	t.Parallel()
	files, log := newTLSFiles(t, newPair(t, "old", time.Now().Add(-time.Hour))), &bytes.Buffer{}
	get, err := app.Certificate(t.Context(), files.cert, files.key, slog.NewTextHandler(log, nil), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got := get(context.WithoutCancel(t.Context())); got.Leaf.Subject.CommonName != "old" || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("%q is served; the log:\n%s", got.Leaf.Subject.CommonName, log)
	}
}

func TestTokensInClearAreWarnedOf(t *testing.T) {
	t.Parallel()
	p := newPair(t, "first", time.Now().Add(time.Hour))
	files := newTLSFiles(t, p)
	for name, test := range map[string]struct {
		change func(*config.Config)
		warned bool
	}{
		"a network":          {func(c *config.Config) { c.Listen = "0.0.0.0:0" }, true},
		"loopback":           {func(*config.Config) {}, false},
		"a network, TLS":     {func(c *config.Config) { c.Listen, c.TLSCert, c.TLSKey = "0.0.0.0:0", files.cert, files.key }, false},
		"a network, a proxy": {func(c *config.Config) { c.Listen = "0.0.0.0:0"; _ = c.TrustedProxies.Set("10.0.0.1") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Default()
			cfg.DB, cfg.Listen, cfg.OpsListen = filepath.Join(t.TempDir(), "stint.db"), "127.0.0.1:0", "127.0.0.1:0"
			test.change(&cfg)
			log := apptest.NewBuffer()
			a, err := app.New(t.Context(), cfg, slog.New(slog.NewTextHandler(log, nil)), time.Now)
			if err != nil {
				t.Fatal(err)
			}
			a.Start(context.WithoutCancel(t.Context()))
			if err := a.Stop(); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(log.String(), "in clear"); got != test.warned {
				t.Errorf("warned: %v, want %v:\n%s", got, test.warned, log)
			}
		})
	}
}
