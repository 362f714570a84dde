package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateCheck is how long a certificate is served before its files are
// looked at again.
const certificateCheck = time.Second

// certificate serves a certificate and its key from two files, and follows what
// becomes of them. It is safe for concurrent use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	served  *tls.Certificate
	files   [2]fs.FileInfo // as served was read from
	checked time.Time
	failure string // what the log was told last; empty once the files are fine
}

// openCertificate reads the files for the first time: what is wrong with them
// keeps the server from starting.
func openCertificate(ctx context.Context, certFile, keyFile string, log *slog.Logger, now func() time.Time) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: now, checked: now()}
	files, err := c.stat()
	if err != nil {
		return nil, err
	}
	return c, c.load(ctx, files)
}

// config returns the settings of a server that serves the certificate.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.greet}
}

func (c *certificate) greet(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.get(hello.Context()), nil
}

// get returns the certificate of now. One that cannot be read, or does not fit
// its key, as while one file of two is replaced, leaves the last one in service.
func (c *certificate) get(ctx context.Context) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if since := now.Sub(c.checked); since >= 0 && since < certificateCheck {
		return c.served
	}
	c.checked = now
	files, err := c.stat()
	if err == nil && c.unchanged(files) {
		c.failure = ""
		return c.served
	}
	if err == nil {
		err = c.load(ctx, files)
	}
	switch {
	case err == nil:
		c.failure = ""
	case err.Error() != c.failure:
		c.failure = err.Error()
		c.log.ErrorContext(ctx, "the new certificate cannot be used; the old one is served on", slog.Any("error", err))
	}
	return c.served
}

func (c *certificate) stat() (files [2]fs.FileInfo, err error) {
	var certErr, keyErr error
	files[0], certErr = os.Stat(c.certFile)
	files[1], keyErr = os.Stat(c.keyFile)
	return files, errors.Join(flagError("--tls-cert", certErr), flagError("--tls-key", keyErr))
}

func (c *certificate) unchanged(files [2]fs.FileInfo) bool {
	for i, now := range files {
		before := c.files[i]
		if !os.SameFile(before, now) || !before.ModTime().Equal(now.ModTime()) || before.Size() != now.Size() || before.Mode() != now.Mode() {
			return false
		}
	}
	return true
}

// load reads the files, whose state before that is given: a change after it is
// seen the next time.
func (c *certificate) load(ctx context.Context, files [2]fs.FileInfo) error {
	if mode := files[1].Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("--tls-key: %s has mode %04o: everybody can read it; chmod 600 it, or 640 for a group", c.keyFile, mode)
	}
	loaded, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("--tls-cert %s with --tls-key %s: %w", c.certFile, c.keyFile, err)
	}
	c.served, c.files = &loaded, files
	attrs := []slog.Attr{
		slog.String("subject", loaded.Leaf.Subject.String()), slog.Any("names", loaded.Leaf.DNSNames),
		slog.Time("not_after", loaded.Leaf.NotAfter),
	}
	if c.now().After(loaded.Leaf.NotAfter) {
		c.log.LogAttrs(ctx, slog.LevelWarn, "the certificate has expired", attrs...)
		return nil
	}
	c.log.LogAttrs(ctx, slog.LevelInfo, "certificate loaded", attrs...)
	return nil
}

func flagError(flag string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", flag, err)
}
