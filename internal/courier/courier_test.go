package courier

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestLinkLocalIsRefused(t *testing.T) {
	t.Parallel()
	for address, refused := range map[string]bool{
		"169.254.169.254:80": true, "[fe80::1%eth0]:80": true, "[::ffff:169.254.1.1]:80": true, "0.0.0.0:80": true, "[::]:80": true, "224.0.0.1:80": true,
		"127.0.0.1:80": false, "10.0.0.1:80": false, "[::1]:80": false, "93.184.216.34:443": false,
	} {
		if err := refuseLinkLocal("tcp", address, nil); (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
	}
	c := New(Options{Agent: "a"})
	t.Cleanup(c.Close)
	if _, err := c.Post(t.Context(), "http://169.254.169.254/latest", nil, nil); !errors.Is(err, errLinkLocal) {
		t.Errorf("posted: %v", err)
	}
}

func TestPost(t *testing.T) {
	t.Parallel()
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		if q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/json" || q.Header.Get("User-Agent") != "a" ||
			q.Header.Get("webhook-id") != "7" || string(body) != "{}" || q.ContentLength != 2 {
			t.Errorf("got %s %v %s", q.Method, q.Header, body)
		}
		if q.URL.Path == "/hang" {
			<-q.Context().Done()
			return
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20)) // nobody reads all of it
	}))
	t.Cleanup(r.Close)
	c := New(Options{Agent: "a"})
	t.Cleanup(c.Close)
	headers := map[string]string{"webhook-id": "7"}
	if status, err := c.Post(t.Context(), r.URL+"/a", headers, []byte("{}")); status != http.StatusFound || err != nil {
		t.Errorf("answered %d, %v", status, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if _, err := c.Post(ctx, r.URL+"/hang", headers, []byte("{}")); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), r.URL) {
		t.Errorf("with no time left: %v", err)
	}
	asked := 0
	proxied := New(Options{Agent: "a", Proxy: func(*http.Request) (*url.URL, error) {
		asked++
		return url.Parse(r.URL)
	}})
	t.Cleanup(proxied.Close)
	if status, err := proxied.Post(t.Context(), "http://far.example/x", headers, []byte("{}")); status != http.StatusFound || err != nil || asked != 1 {
		t.Errorf("by a proxy: %d, %v, asked %d times", status, err, asked)
	}
}
