package clients

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"stint/internal/apptest"
)

// tap stands between clients and a server. It passes on every byte as it is, and
// keeps a copy.
type tap struct {
	URL string

	server   string // address
	listener net.Listener
	copying  sync.WaitGroup

	mu    sync.Mutex
	lines []*line
}

// line is what passed on one connection, both ways.
type line struct{ asked, answered bytes.Buffer }

// exchange is a request and the status of its answer.
type exchange struct {
	*http.Request
	status int
}

func tapped(t *testing.T, s *server) *tap {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{URL: "http://" + l.Addr().String(), server: strings.TrimPrefix(s.URL, "http://"), listener: l}
	t.Cleanup(func() {
		_ = l.Close()
		p.copying.Wait()
	})
	ctx := context.WithoutCancel(t.Context())
	p.copying.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			p.copying.Go(func() { p.pass(ctx, t, client) })
		}
	})
	return p
}

// pass passes a connection on until both sides have ended it.
func (p *tap) pass(ctx context.Context, t *testing.T, client net.Conn) {
	t.Helper()
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.server)
	if err != nil {
		t.Errorf("connect to the server: %v", err)
		return
	}
	defer server.Close()
	kept := &line{}
	p.mu.Lock()
	p.lines = append(p.lines, kept)
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { copyAll(server, client, &kept.asked) })
	both.Go(func() { copyAll(client, server, &kept.answered) })
	both.Wait()
}

// copyAll copies until from ends, and then ends what it writes to.
func copyAll(to, from net.Conn, kept io.Writer) {
	_, _ = io.Copy(to, io.TeeReader(from, kept))
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}

// ended waits until all clients have gone, holds every answer against the
// contract, and returns what was asked.
func (p *tap) ended(t *testing.T) []exchange {
	t.Helper()
	_ = p.listener.Close()
	p.copying.Wait()
	var all []exchange
	for _, l := range p.lines {
		asked, answered := bufio.NewReader(&l.asked), bufio.NewReader(&l.answered)
		for {
			x, err := next(t, asked, answered)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("what passed cannot be read: %v", err)
				break
			}
			all = append(all, x)
		}
	}
	return all
}

// next reads one request and its answer. The error is io.EOF where there is no
// more.
func next(t *testing.T, asked, answered *bufio.Reader) (exchange, error) {
	t.Helper()
	request, err := http.ReadRequest(asked)
	if err != nil {
		return exchange{}, err
	}
	if _, err := io.Copy(io.Discard, request.Body); err != nil {
		return exchange{}, err
	}
	for {
		response, err := http.ReadResponse(answered, request)
		if err != nil {
			return exchange{}, fmt.Errorf("the answer to %s %s: %w", request.Method, request.RequestURI, unexpected(err))
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			return exchange{}, unexpected(err)
		}
		if response.StatusCode < http.StatusOK {
			continue // such as 100
		}
		if err := apptest.Check(request, response, body); err != nil {
			t.Errorf("%s %s: the answer breaks the contract: %v\n%s %.500q", request.Method, request.RequestURI, err, response.Status, body)
		}
		return exchange{request, response.StatusCode}, nil
	}
}

// unexpected is an error that is no orderly end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
