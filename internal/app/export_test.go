package app

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"stint/internal/aggregation"
)

// ServeLimited serves a handler within limits that a test can wait for, over TLS
// where secure is given.
func ServeLimited(h http.Handler, header, idle time.Duration, secure *tls.Config, l net.Listener) *http.Server {
	short := defaultLimits()
	short.header, short.idle = header, idle
	s := newServer(h, short, secure, slog.New(slog.DiscardHandler), time.Now)
	go func() { _ = serve(s, l) }()
	return s
}

// Certificate is the certificate of two files, without a server.
func Certificate(ctx context.Context, certFile, keyFile string, log slog.Handler, now func() time.Time) (func(context.Context) *tls.Certificate, error) {
	c, err := openCertificate(ctx, certFile, keyFile, slog.New(log), now)
	if err != nil {
		return nil, err
	}
	return c.get, nil
}

// DelimitedFiles is the connector of a server.
func DelimitedFiles() aggregation.Connector { return delimitedFiles{} }
