package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultTimeout = 30 * time.Second
	defaultRetry   = 15 * time.Second
	// maxAnswer bounds a success body: a full page of long tasks stays far below it.
	maxAnswer = 128 << 20
	maxError  = 1 << 20
)

// Options are the settings of a [Client]. The zero value works.
type Options struct {
	// HTTPClient sends the requests; nil means one of its own. Redirects are not followed
	// unless its CheckRedirect says so: the API never redirects, and a followed redirect
	// would carry report tokens along.
	HTTPClient *http.Client
	// ClientID and ClientSecret are those of a personal access token or an application. The
	// client signs in with them when it needs to, and again when its access token ends.
	ClientID, ClientSecret string
	// Token is an access token to send where there is no ClientID; empty sends none.
	Token string
	// UserAgent names the program; empty means "stint-client".
	UserAgent string
	// Timeout bounds one try of one request, 30 seconds if zero. [Client.Wait] adds the time
	// it asked the server to wait.
	Timeout time.Duration
	// RetryFor bounds how long a request is tried again after network errors and answers
	// that say "not now". Zero means 15 seconds; negative means one try only.
	RetryFor time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Client talks to one Stint server.
type Client struct {
	base  string
	http  *http.Client
	token string
	// credentials are nil where the token is all there is.
	credentials *credentials
	userAgent   string
	timeout     time.Duration
	retryFor    time.Duration
	now         func() time.Time
}

// New makes a client for the server at baseURL, such as http://127.0.0.1:8080.
func New(baseURL string, opts Options) (*Client, error) {
	u, err := url.Parse(strings.TrimSpace(baseURL))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("server URL %q is not of the form http://host:port", baseURL)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("server URL %q must not have a user, a query or a fragment", u.Redacted())
	}
	c := &Client{
		base:      strings.TrimRight(u.String(), "/"),
		http:      &http.Client{},
		token:     opts.Token,
		userAgent: opts.UserAgent,
		timeout:   opts.Timeout,
		retryFor:  opts.RetryFor,
		now:       opts.Now,
	}
	if opts.ClientID != "" {
		c.credentials = &credentials{id: opts.ClientID, secret: opts.ClientSecret}
	}
	if opts.HTTPClient != nil {
		own := *opts.HTTPClient
		c.http = &own
	}
	if c.http.CheckRedirect == nil {
		c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	if c.userAgent == "" {
		c.userAgent = "stint-client"
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.retryFor == 0 {
		c.retryFor = defaultRetry
	}
	if c.now == nil {
		c.now = time.Now //nolint:forbidigo // the default of an injected clock
	}
	return c, nil
}

// URL is the server's base URL, without a trailing slash.
func (c *Client) URL() string { return c.base }

// withoutRetries is the same client with one try per request, for callers that pace their
// tries themselves.
func (c *Client) withoutRetries(timeout time.Duration) *Client {
	once := *c
	once.retryFor = -1
	once.timeout = min(c.timeout, timeout)
	return &once
}

// request is one call of the API.
type request struct {
	method  string
	path    string
	query   url.Values
	header  map[string]string
	content string
	body    any
	// repeatable says that the server has the same answer for the same request again, so
	// that it may be repeated although it may have arrived.
	repeatable bool
	// wait is what the server was asked to take, on top of the client's own timeout.
	wait time.Duration
	// tries, if not nil, counts how often the request was sent.
	tries *int
}

// do sends a request, again where that is harmless, and decodes the answer into out (nil:
// the answer's body is not wanted).
func (c *Client) do(ctx context.Context, r request, out any) (http.Header, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("%s %s: encoding the request: %w", r.method, r.path, err)
		}
	}
	return c.retry(ctx, r.repeatable, func() (http.Header, error) { return c.once(ctx, r, body, out) })
}

func (c *Client) once(ctx context.Context, r request, body []byte, out any) (http.Header, error) {
	if r.tries != nil {
		*r.tries++
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout+r.wait)
	defer cancel()
	for again := false; ; again = true {
		var reader io.Reader
		if body != nil {
			reader = bytes.NewReader(body)
		}
		req, err := c.newRequest(ctx, r, reader)
		if err != nil {
			return nil, err
		}
		header, err := c.exchange(req, r.method+" "+r.path, out)
		if again || !c.forgets(req, err) {
			return header, err
		}
	}
}

func (c *Client) newRequest(ctx context.Context, r request, body io.Reader) (*http.Request, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	token, err := c.bearer(ctx)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c.setHeader(req, r, body != nil)
	return req, nil
}

// exchange sends a request, named op in errors, and decodes the answer into out.
func (c *Client) exchange(req *http.Request, op string, out any) (http.Header, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &networkError{url: c.base, op: op, err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, readError(resp, op, c.now())
	}
	text, err := readBounded(resp.Body, maxAnswer)
	if err != nil {
		if errors.Is(err, errTooLong) {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		return nil, &networkError{url: c.base, op: op, err: err}
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			return nil, fmt.Errorf("%s: the answer of %s is not what a Stint server sends: %w", op, c.base, err)
		}
	}
	return resp.Header, nil
}

func (c *Client) setHeader(req *http.Request, r request, hasBody bool) {
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json")
	if hasBody {
		content := r.content
		if content == "" {
			content = "application/json"
		}
		req.Header.Set("Content-Type", content)
	}
	for name, value := range r.header {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
}

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = errTooLong
	}
	return text, err
}
