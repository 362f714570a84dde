package httpapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/rs/cors"
)

// crossSite lets the pages of the listed sites call the API from a browser
// (CORS). They come with a token; a session's cookie is taken from our own pages alone.
func crossSite(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{
			"Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "Stint-Reason", "Stint-Report-Token",
			"X-Request-Id", "X-SailPoint-Experimental", "X-SailPoint-SDK",
		},
		ExposedHeaders: []string{
			"X-Total-Count", "X-Request-Id", "ETag", "Link", "Retry-After", "Location", "Deprecation", "Idempotency-Replayed", "WWW-Authenticate",
		},
		MaxAge: int((10 * time.Minute).Seconds()),
	}).Handler(next)
}

// sameSite returns the guard against what pages of other sites make a browser
// send; the listed ones pass.
func sameSite(origins []string) (*http.CrossOriginProtection, error) {
	guard := http.NewCrossOriginProtection()
	for _, origin := range origins {
		if err := guard.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("the origin %q: %w", origin, err)
		}
	}
	return guard, nil
}

// harden gives every answer the headers that keep a browser, and the caches on
// the way to it, from doing harm with it.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if senderFrom(r).secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		// What is read may be kept by the one who asked, and asked for again by its
		// entity tag; tokens and secrets are in answers to writes alone.
		h.Set("Cache-Control", "no-store")
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			h.Set("Cache-Control", "private, no-cache")
		}
		next.ServeHTTP(w, r)
	})
}
