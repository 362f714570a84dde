package app

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"
)

// Certificate is the certificate of two files, without a server.
func Certificate(ctx context.Context, certFile, keyFile string, log slog.Handler, now func() time.Time) (func(context.Context) *tls.Certificate, error) {
	c, err := openCertificate(ctx, certFile, keyFile, slog.New(log), now)
	if err != nil {
		return nil, err
	}
	return c.get, nil
}
