package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestErrorForms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
		is     error
	}{
		"contract": {
			409, `{"detailCode":"409.0 Conflict","trackingId":"0123","messages":[{"text":"generic"}],"causes":[{"text":"specific"}],"refused":"late","stop":true}`,
			"GET /x: specific (409.0 Conflict)", ErrLate,
		},
		"generic text only": {404, `{"detailCode":"404.0 Not Found","messages":[{"text":"generic"}],"causes":[]}`, "GET /x: generic (404.0 Not Found)", ErrNotFound},
		"unauthorized":      {401, `{"error":"JWT validation failed: JWT is expired"}`, "GET /x: JWT validation failed: JWT is expired (401)", ErrUnauthorized},
		"token endpoint":    {401, `{"error":"invalid_client","error_description":"no such client"}`, "GET /x: no such client (401)", ErrUnauthorized},
		"rate limit":        {429, `{"message":" Rate Limit Exceeded "}`, "GET /x: Rate Limit Exceeded (429)", nil},
		"a proxy's page":    {502, "<html>\nbad gateway", "GET /x: <html> (502)", nil},
		"nothing":           {500, "", "GET /x: Internal Server Error (500)", nil},
		"redirect":          {302, "", "GET /x: redirected to http://login/, which a Stint server never does (302)", nil},
		"not UTF-8":         {500, "\xff\xfe", "GET /x: Internal Server Error (500)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := &http.Response{
				StatusCode: c.status, Body: io.NopCloser(strings.NewReader(c.body)),
				Header: http.Header{"X-Request-Id": {"4567"}, "Location": {"http://login/"}},
			}
			err := fmt.Errorf("wrapped: %w", error(readError(resp, "GET /x", time.Time{})))
			var e *Error
			if !errors.As(err, &e) || e.Status != c.status || e.Error() != c.want {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("%v is not %v", err, c.is)
			}
			if wantID := map[bool]string{true: "0123", false: "4567"}[name == "contract"]; e.TrackingID != wantID {
				t.Fatalf("tracking id %q, want %q", e.TrackingID, wantID)
			}
			if name == "contract" && (!e.Stop || !errors.Is(err, ErrConflict) || errors.Is(err, ErrStale)) {
				t.Fatalf("got %+v", e)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "x": 0, "-1": 0, "7": 7 * time.Second, "99999999": 24 * time.Hour,
		"Tue, 24 Nov 2026 12:00:09 GMT": 9 * time.Second, "Tue, 24 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

func TestWhatMayBeSentAgain(t *testing.T) {
	t.Parallel()
	reset := &networkError{err: io.ErrUnexpectedEOF}
	for name, c := range map[string]struct {
		err        error
		repeatable bool
		want       bool
	}{
		"reset, harmless":       {reset, true, true},
		"reset, may add twice":  {reset, false, false},
		"503 did nothing":       {&Error{Status: 503}, false, true},
		"503 may have done it":  {&Error{Status: 503, Unknown: true}, false, false},
		"503 done twice":        {&Error{Status: 503, Unknown: true}, true, true},
		"502 may have arrived":  {&Error{Status: 502}, false, false},
		"502, harmless":         {&Error{Status: 502}, true, true},
		"500 is an answer":      {&Error{Status: 500}, true, false},
		"400 is an answer":      {&Error{Status: 400}, true, false},
		"an answer not decoded": {io.ErrUnexpectedEOF, true, false},
	} {
		if got := mayRetry(c.err, c.repeatable); got != c.want {
			t.Errorf("%s: got %t, want %t", name, got, c.want)
		}
	}
}

func TestNewRefusesWrongURLs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "localhost:8080", "ftp://x", "http://", "http://u:p@x", "http://x/?a=b", "http://x/#f", ":"} {
		if _, err := New(bad, Options{}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	c, err := New(" http://x:1/base/ ", Options{})
	if err != nil || c.URL() != "http://x:1/base" {
		t.Fatalf("got %v, %v", c, err)
	}
}
