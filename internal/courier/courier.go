// Package courier sends messages over HTTP to addresses that people gave.
//
// It owns how a request is made and what its answer may cost. It does not own what is
// sent, nor when it is tried again.
//
// Invariants: a redirect is not followed; nothing of an answer but its status goes
// anywhere, so that nobody reads by this what only this server can reach; an address of
// the link alone, as clouds serve a machine's own secrets on, is not connected to.
package courier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	idleTimeout = time.Minute
	// maxIdle and maxIdleOf bound the connections that wait for another message.
	maxIdle, maxIdleOf = 32, 4
	// maxAnswer is how much of an answer is read, so that the connection can be used
	// again.
	maxAnswer = 64 << 10
	maxHeader = 64 << 10
)

// Options are the settings of a Courier.
type Options struct {
	// Agent is how it names itself.
	Agent string
	// Proxy returns by which proxy a request goes; nil is by none.
	Proxy func(*http.Request) (*url.URL, error)
}

// Courier sends messages. It is safe for concurrent use.
type Courier struct {
	client *http.Client
	agent  string
}

// New returns a Courier.
func New(o Options) *Courier {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: refuseLinkLocal}
	transport := &http.Transport{
		Proxy: o.Proxy, DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: dialTimeout,
		MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdleOf, IdleConnTimeout: idleTimeout, MaxResponseHeaderBytes: maxHeader,
		// Nobody reads what is unpacked.
		DisableCompression: true,
	}
	return &Courier{agent: o.Agent, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the connections that nobody uses.
func (c *Courier) Close() { c.client.CloseIdleConnections() }

// Post sends a body of JSON and returns the status of the answer. It ends with ctx. The
// error says what was wrong with the network, or the server at the other end.
func (c *Courier) Post(ctx context.Context, to string, headers map[string]string, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.agent)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	answer, err := c.client.Do(req)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // the URL is known
		}
		return 0, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	return answer.StatusCode, nil
}

// errLinkLocal is of an address that belongs to the machine's own link.
var errLinkLocal = errors.New("link-local, multicast and unspecified addresses are not connected to")

func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, err)
	}
	if ip := to.Addr().Unmap(); ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() {
		return errLinkLocal
	}
	return nil
}
