package client

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	tokenPath = "/oauth/token" //nolint:gosec // a path, no secret
	// earlier is how long before its end an access token is not used any more, so that
	// it does not end under way.
	earlier = 30 * time.Second
)

// credentials sign in when an access token is needed, and keep it while it is good.
type credentials struct {
	id, secret string

	mu    sync.Mutex
	token string
	until time.Time
}

// bearer returns the token to send; empty where none is.
func (c *Client) bearer(ctx context.Context) (string, error) {
	if c.credentials == nil {
		return c.token, nil
	}
	k := c.credentials
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.token != "" && c.now().Before(k.until) {
		return k.token, nil
	}
	asked := c.now()
	form := url.Values{"grant_type": {"client_credentials"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+tokenPath, bytes.NewReader([]byte(form.Encode())))
	if err != nil {
		return "", err
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(k.id), url.QueryEscape(k.secret))
	var grant struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if _, err := c.exchange(req, http.MethodPost+" "+tokenPath, &grant); err != nil {
		return "", err
	}
	lifetime := time.Duration(grant.ExpiresIn) * time.Second
	k.token, k.until = grant.AccessToken, asked.Add(lifetime-min(earlier, lifetime/2))
	return k.token, nil
}

// AccessToken returns an access token: one that the client has, or a new one.
// Without credentials it is the token of the options.
func (c *Client) AccessToken(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.bearer(ctx)
}

// forgets reports whether err says that the token of a request is good for nothing,
// and another one may be: then it is not used again.
func (c *Client) forgets(req *http.Request, err error) bool {
	if c.credentials == nil || !errors.Is(err, ErrUnauthorized) {
		return false
	}
	sent := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	c.credentials.mu.Lock()
	defer c.credentials.mu.Unlock()
	if c.credentials.token == sent {
		c.credentials.token = ""
	}
	return true
}
