package console

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed all:dist
var built embed.FS

//go:embed placeholder.html
var placeholder []byte

// nonceMark is what stands in the page for the nonce of its styles.
const nonceMark = "STYLE-NONCE"

// Handler serves the page and its files. It is safe for concurrent use.
type Handler struct {
	files fs.FS
	page  []byte
}

// New returns the handler of the console that is built in.
func New() (*Handler, error) {
	files, err := fs.Sub(built, "dist")
	if err != nil {
		return nil, err
	}
	return FromFiles(files), nil
}

// FromFiles returns the handler of a console; of one without a page, a handler that
// says how to build it.
func FromFiles(files fs.FS) *Handler {
	page, err := fs.ReadFile(files, "index.html")
	if err != nil {
		page = placeholder
	}
	return &Handler{files: files, page: page}
}

// ServeHTTP answers with a file, or with the page, whatever its path: the page reads
// that itself.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if h.IsFile(r.URL.Path) {
		h.serveFile(w, r, strings.TrimPrefix(r.URL.Path, "/"))
		return
	}
	h.servePage(w)
}

// IsFile reports whether a path is that of a file, not of the page.
func (h *Handler) IsFile(path string) bool {
	return strings.HasPrefix(path, "/assets/") || path == "/favicon.svg"
}

func (h *Handler) servePage(w http.ResponseWriter) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	nonce := base64.RawStdEncoding.EncodeToString(random[:])
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-"+nonce+"'; "+
		"img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "+
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	_, _ = w.Write(bytes.ReplaceAll(h.page, []byte(nonceMark), []byte(nonce))) // a client that has gone is no fault of ours
}

func (h *Handler) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	header := w.Header()
	body, err := fs.ReadFile(h.files, name) // which takes no ".."
	if err != nil {
		header.Set("Cache-Control", "no-store")
		http.Error(w, "the console has no such file", http.StatusNotFound)
		return
	}
	header.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	header.Set("Vary", "Accept-Encoding")
	if strings.HasPrefix(name, "assets/") { // their names change with their contents
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "br") {
		if small, err := fs.ReadFile(h.files, name+".br"); err == nil {
			header.Set("Content-Encoding", "br")
			body = small
		}
	}
	_, _ = w.Write(body) //nolint:gosec // a file of ours; a client that has gone is no fault of ours
}
