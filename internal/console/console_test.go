package console_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"stint/internal/console"
)

func files() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		"index.html":           file(`<meta name="style-nonce" content="STYLE-NONCE"><style nonce="STYLE-NONCE"></style>`),
		"assets/index-1.js":    file("alert()"),
		"assets/index-1.js.br": file("small"),
		"assets/index-1.css":   file("a{}"),
		"favicon.svg":          file("<svg/>"),
		"secret.txt":           file("not served"),
	}
}

func ask(h *console.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPageHasANonceOfItsOwn(t *testing.T) {
	t.Parallel()
	h := console.FromFiles(files())
	seen := map[string]bool{}
	for _, path := range []string{"/", "/tasks", "/tasks/1?x=y", "/secret.txt"} {
		answer := ask(h, path)
		policy := answer.Header().Get("Content-Security-Policy")
		found := regexp.MustCompile(`style-src 'self' 'nonce-([\w+/]{22})'`).FindStringSubmatch(policy)
		if answer.Code != 200 || found == nil || seen[found[1]] {
			t.Fatalf("%s: %d with the policy %s", path, answer.Code, policy)
		}
		seen[found[1]] = true
		if got := strings.Count(answer.Body.String(), `"`+found[1]+`"`); got != 2 {
			t.Errorf("%s: the nonce stands %d times in %s", path, got, answer.Body)
		}
		for _, never := range []string{"unsafe", "http:", "https:", "*"} {
			if strings.Contains(policy, never) {
				t.Errorf("the policy allows %s: %s", never, policy)
			}
		}
		if got := answer.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control is %q", path, got)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	h := console.FromFiles(files())
	const ever = "public, max-age=31536000, immutable"
	for _, test := range []struct {
		path, accept         string
		status               int
		body, coding, cached string
		contentType          string
	}{
		{"/assets/index-1.js", "gzip, br", 200, "small", "br", ever, "text/javascript; charset=utf-8"},
		{"/assets/index-1.js", "gzip", 200, "alert()", "", ever, "text/javascript; charset=utf-8"},
		{"/assets/index-1.css", "br", 200, "a{}", "", ever, "text/css; charset=utf-8"},
		{"/favicon.svg", "", 200, "<svg/>", "", "", "image/svg+xml"},
		{"/assets/none.js", "br", 404, "the console has no such file\n", "", "no-store", "text/plain; charset=utf-8"},
		{"/assets/../index.html", "", 404, "the console has no such file\n", "", "no-store", "text/plain; charset=utf-8"},
		{"/assets/../secret.txt", "", 404, "the console has no such file\n", "", "no-store", "text/plain; charset=utf-8"},
	} {
		answer := ask(h, test.path, "Accept-Encoding", test.accept)
		got := answer.Header()
		if answer.Code != test.status || answer.Body.String() != test.body || got.Get("Content-Encoding") != test.coding ||
			got.Get("Cache-Control") != test.cached || got.Get("Content-Type") != test.contentType {
			t.Errorf("%s for %q: %d %q with %v", test.path, test.accept, answer.Code, answer.Body, got)
		}
	}
}

func TestPlaceholderSaysHowToBuild(t *testing.T) {
	t.Parallel()
	answer := ask(console.FromFiles(fstest.MapFS{}), "/")
	if answer.Code != 200 || !bytes.Contains(answer.Body.Bytes(), []byte("make build")) || bytes.Contains(answer.Body.Bytes(), []byte("STYLE-NONCE")) {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
