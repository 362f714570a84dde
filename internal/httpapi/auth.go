package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/query"
	"stint/internal/task"
)

// Auth knows who is who. Errors are *task.Error: Unauthenticated for whoever is
// not known.
type Auth interface {
	// Bearer returns whom an access token stands for.
	Bearer(ctx context.Context, token string) (*principal.Principal, error)
	// StillLive refuses whom Bearer returned before, once their client was revoked.
	StillLive(ctx context.Context, p *principal.Principal) error
	SignIn(ctx context.Context, id, secret, scope string, from audit.Origin) (principal.Grant, error)
	// StartSession is SignIn for a browser, Session what Bearer is for a token.
	StartSession(ctx context.Context, id, secret string, from audit.Origin) (principal.Session, error)
	Session(ctx context.Context, token string) (principal.Session, error)
	// OffersProvider reports whether people can sign in at an identity provider; the
	// other two are how they do. The errors are of kind Unauthenticated, Forbidden and
	// Unavailable.
	OffersProvider() bool
	LeaveForProvider(ctx context.Context, redirect, back string) (address, kept string, err error)
	ReturnFromProvider(ctx context.Context, redirect, kept string, answer url.Values, from audit.Origin) (s principal.Session, back string, err error)
	// PublicKeys returns a JSON Web Key Set.
	PublicKeys(ctx context.Context) ([]byte, error)

	// CreateClient returns the client with its secret.
	CreateClient(ctx context.Context, c principal.Client, reason string, from audit.Origin) (principal.Client, string, error)
	Client(ctx context.Context, sort principal.Sort, id task.ID) (principal.Client, error)
	// ListClients returns a page, and the total where the page asks for it (else -1).
	ListClients(ctx context.Context, sort principal.Sort, page query.Page) ([]principal.Client, int64, error)
	Revoke(ctx context.Context, sort principal.Sort, id task.ID, reason string, from audit.Origin) (principal.Client, error)
	// Rotate returns the client with its new secret.
	Rotate(ctx context.Context, sort principal.Sort, id task.ID, reason string, from audit.Origin) (principal.Client, string, error)
}

// still refuses a caller who was revoked while the body arrived: that may have
// taken long.
func (a *api) still(ctx context.Context) error {
	p := principal.Of(ctx)
	if a.auth == nil || p == nil {
		return nil
	}
	return a.auth.StillLive(ctx, p)
}

// authenticate returns who asks.
func (a *api) authenticate(r *http.Request) (*principal.Principal, error) {
	if a.auth == nil {
		return principal.Anyone(), nil
	}
	headers := r.Header.Values("Authorization")
	if token, ok := sessionToken(r); ok {
		return a.authenticateSession(r, token, len(headers) > 0)
	}
	if len(headers) == 0 {
		return nil, task.Errorf(task.Unauthenticated, "", "JWT validation failed: there is no token; send Authorization: Bearer TOKEN")
	}
	if len(headers) > 1 {
		return nil, task.Errorf(task.Unauthenticated, "", "JWT validation failed: Authorization is given %d times", len(headers))
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, task.Errorf(task.Unauthenticated, "", "JWT validation failed: Authorization is not of the form: Bearer TOKEN")
	}
	return a.auth.Bearer(r.Context(), token)
}
