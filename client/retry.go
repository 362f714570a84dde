package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retry calls once until it succeeds, fails for good, or the client's patience is over. The
// error is always the last one that once gave.
func (c *Client) retry(ctx context.Context, repeatable bool, once func() (http.Header, error)) (http.Header, error) {
	return c.retryWhile(ctx, c.retryFor, func(err error) bool { return mayRetry(err, repeatable) }, once)
}

// retryWhile calls once until it succeeds, or may refuses its error. All tries together begin
// within a time, 0 for no bound.
func (c *Client) retryWhile(
	ctx context.Context, within time.Duration, may func(error) bool, once func() (http.Header, error),
) (http.Header, error) {
	if c.retryFor < 0 {
		return once()
	}
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval = 100 * time.Millisecond
	pace.MaxInterval = 2 * time.Second
	var last error
	header, err := backoff.Retry(ctx, func() (http.Header, error) {
		var header http.Header
		header, last = once()
		switch {
		case last == nil:
			return header, nil
		case ctx.Err() != nil || !may(last):
			return nil, backoff.Permanent(last)
		}
		var answer *Error
		if errors.As(last, &answer) && answer.RetryAfter > 0 {
			if answer.RetryAfter > c.retryFor {
				return nil, backoff.Permanent(last)
			}
			return nil, &backoff.RetryAfterError{Duration: answer.RetryAfter}
		}
		return nil, last
	}, backoff.WithBackOff(pace), backoff.WithMaxElapsedTime(within))
	if err != nil && last != nil {
		err = last
	}
	return header, err
}

// mayRetry says whether sending the request again can help and cannot harm.
func mayRetry(err error, repeatable bool) bool {
	var answer *Error
	if errors.As(err, &answer) {
		switch answer.Status {
		case http.StatusServiceUnavailable, http.StatusTooManyRequests:
			// Both say that nothing was done, or else that nobody knows.
			return repeatable || !answer.Unknown
		case http.StatusBadGateway, http.StatusGatewayTimeout:
			return repeatable
		}
		return false
	}
	var network *networkError
	if !errors.As(err, &network) {
		return false
	}
	return repeatable || neverSent(err)
}

// neverSent says that the connection could not be made, so that the request cannot have
// arrived.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
