package httpapi

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"stint/internal/task"
)

// providerPath is where a sign-in at the identity provider begins; it ends below it.
const providerPath = "/stint/v1/session/oidc"

// pendingCookie holds what is kept while somebody is at the identity provider.
const pendingCookie = "stint_signing_in"

// leaveForProvider sends a browser to the identity provider.
func (a *api) leaveForProvider(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if a.auth == nil || !a.auth.OffersProvider() {
		return task.Errorf(task.NotFound, "", "nobody signs in at an identity provider here: --oidc-client-id is not set")
	}
	address, kept, err := a.auth.LeaveForProvider(r.Context(), a.issuer+providerPath+"/callback", ownPath(r.URL.Query().Get("to")))
	if err != nil {
		return a.backWithoutSession(w, r, err)
	}
	http.SetCookie(w, pendingOf(r, kept))
	return seeOther(w, address)
}

// returnFromProvider begins the session of somebody who comes from there.
func (a *api) returnFromProvider(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if a.auth == nil || !a.auth.OffersProvider() {
		return task.Errorf(task.NotFound, "", "nobody signs in at an identity provider here: --oidc-client-id is not set")
	}
	cookie, _ := r.Cookie(pendingCookie)
	session, back, err := a.auth.ReturnFromProvider(r.Context(), a.issuer+providerPath+"/callback", cookieValue(cookie), r.URL.Query(), origin(r))
	over := pendingOf(r, "") //nolint:gosec // it has all that a cookie of this sort needs
	over.MaxAge = -1
	http.SetCookie(w, over)
	if err != nil {
		return a.backWithoutSession(w, r, err)
	}
	http.SetCookie(w, a.cookie(r, session.Token, session.Expires))
	return seeOther(w, ownPath(back))
}

// backWithoutSession shows the page for signing in, which says why in its own words:
// an address that others may have made must not put words into its mouth.
func (a *api) backWithoutSession(w http.ResponseWriter, r *http.Request, err error) error {
	var why string
	switch task.KindOf(err) { //nolint:exhaustive // the others are faults
	case task.Unauthenticated:
		why = "refused"
	case task.Forbidden:
		why = "forbidden"
	case task.Unavailable:
		why = "away"
	default:
		return err
	}
	a.log.InfoContext(r.Context(), "a sign-in at the identity provider came to nothing", slog.String("request_id", requestID(r.Context())), slog.Any("error", err))
	return seeOther(w, "/?signin="+why)
}

func seeOther(w http.ResponseWriter, address string) error {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// pendingOf is a cookie that comes back with the redirect of another site, the
// provider's, and to nothing but the end of the sign-in.
func pendingOf(r *http.Request, value string) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever the browser came over TLS
		Name: pendingCookie, Value: value, Path: providerPath, MaxAge: int((10 * time.Minute).Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: senderFrom(r).secure,
	}
}

// ownPath keeps a path of this server, and nothing that leads elsewhere.
func ownPath(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}
