package app

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// limits bound what one connection may cost. The official client opens
// connections on which it sends nothing, and repeats a write whose connection
// breaks: headers must come soon, idle connections are closed late.
type limits struct {
	header time.Duration // until the end of a request's headers, the TLS handshake included
	write  time.Duration
	idle   time.Duration
	// unread is how long a body may take that no handler reads: the server reads
	// it to the end before it answers. Handlers that read one set their own.
	unread time.Duration
	// headerBytes bounds the request line and all headers together. The longest
	// filter is 32 KiB, of which percent-encoding makes 96; a token takes a few.
	headerBytes int
	// streams bounds the requests at once on one HTTP/2 connection.
	streams int
}

func defaultLimits() limits {
	return limits{
		header: 10 * time.Second, write: time.Minute, idle: 10 * time.Minute, unread: 5 * time.Second,
		headerBytes: 128 << 10, streams: 100,
	}
}

// newServer returns a server that holds the limits; it serves TLS where secure
// is given.
func newServer(h http.Handler, l limits, secure *tls.Config, log *slog.Logger, now func() time.Time) *http.Server {
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(now().Add(l.unread))
		}
		h.ServeHTTP(w, r)
	})
	return &http.Server{
		Handler: guarded, ReadHeaderTimeout: l.header, WriteTimeout: l.write, IdleTimeout: l.idle,
		MaxHeaderBytes: l.headerBytes, TLSConfig: secure,
		// A peer that has vanished from a connection of HTTP/2 is noticed by its silence.
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: l.streams, SendPingTimeout: l.write, PingTimeout: l.header, WriteByteTimeout: l.write,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// serve serves until the server is shut down.
func serve(s *http.Server, l net.Listener) error {
	if s.TLSConfig != nil {
		return s.ServeTLS(l, "", "")
	}
	return s.Serve(l)
}
