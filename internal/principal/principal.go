package principal

import (
	"context"
	"slices"
	"strings"
	"time"

	"stint/internal/task"
)

// Principal is who a request acts as.
type Principal struct {
	// Client is the id of the client that it came with; empty where there is none.
	Client string
	// Name is the user's, or the application's where there is no user.
	Name string
	// User says that it acts for a user; only users have levels.
	User   bool
	Levels []Level
	Scopes []Scope
	// Sources are the ids of those that a limited level may act on.
	Sources []string
	// Expires is when its client does; zero is never.
	Expires time.Time
}

// Session is what a browser signs its requests with, in a cookie.
type Session struct {
	Token     string
	Principal *Principal
	Expires   time.Time
}

// Anyone is who asks a server that asks for no tokens: it may do everything.
func Anyone() *Principal {
	return &Principal{Name: "anonymous", User: true, Levels: []Level{OrgAdmin}, Scopes: []Scope{AllScopes}}
}

// Right is what an operation needs. The zero Right is nobody's.
type Right struct {
	// Doing is what it lets do, in words that follow "to".
	Doing string
	// Public lets everybody, known or not.
	Public bool
	// Scopes are those of which one is needed; AllScopes always is enough.
	Scopes []Scope
	// Levels are those of which a user needs one.
	Levels []Level
	// Applications says that a client without a user may, too.
	Applications bool
}

// Check returns an error of kind Forbidden, which says what was missing, unless
// p has the right.
func (r *Right) Check(p *Principal) error {
	switch {
	case r.Public:
		return nil
	case len(r.Scopes) == 0:
		return task.Errorf(task.Forbidden, "", "nobody may do this")
	case !p.hasScope(r.Scopes):
		return task.Errorf(task.Forbidden, "scope", "to %s takes one of the scopes %s; the token has %s",
			r.Doing, List(append(slices.Clone(r.Scopes), AllScopes)), none(List(p.Scopes)))
	case !p.User && !r.Applications:
		return task.Errorf(task.Forbidden, "user", "to %s takes a user; the token is that of an application, which has none: use a personal access token",
			r.Doing)
	case p.User && len(r.grants(p)) == 0:
		return task.Errorf(task.Forbidden, "user level", "to %s takes one of the user levels %s; the token has %s",
			r.Doing, List(r.Levels), none(List(p.Levels)))
	}
	return nil
}

// CheckSource is Check for a thing that belongs to a source ("" where it belongs
// to none): a limited level acts on its own sources alone.
func (r *Right) CheckSource(p *Principal, sourceID string) error {
	if err := r.Check(p); err != nil {
		return err
	}
	grants := r.grants(p)
	if !p.User || slices.ContainsFunc(grants, func(l Level) bool { return !l.limited() }) {
		return nil
	}
	own := func(id string) bool { return sameSource(id, sourceID) }
	if sourceID != "" && slices.ContainsFunc(p.Sources, own) {
		return nil
	}
	what := "this belongs to source " + sourceID
	if sourceID == "" {
		what = "this belongs to no source"
	}
	return task.Errorf(task.Forbidden, "source", "to %s as %s takes a token for the source: %s; the token is for %s",
		r.Doing, List(grants), what, none(strings.Join(p.Sources, ", ")))
}

// sameSource compares ids as they are given: one of Stint's own may come as a
// UUID, others have their own idea of sources.
func sameSource(a, b string) bool {
	first, ok := task.ParseID(a)
	if second, both := task.ParseID(b); ok && both {
		return first == second
	}
	return task.EqualFoldASCII(a, b)
}

// grants returns the levels of p that give the right.
func (r *Right) grants(p *Principal) []Level {
	var all []Level
	for _, l := range p.Levels {
		if slices.Contains(r.Levels, l) {
			all = append(all, l)
		}
	}
	return all
}

func (p *Principal) hasScope(any []Scope) bool {
	return slices.ContainsFunc(p.Scopes, func(s Scope) bool { return s == AllScopes || slices.Contains(any, s) })
}

func none(list string) string {
	if list == "" {
		return "none"
	}
	return list
}

type contextKey struct{}

// In returns a context that carries p.
func In(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// Of returns whom a context carries; nil where it carries nobody.
func Of(ctx context.Context) *Principal {
	p, _ := ctx.Value(contextKey{}).(*Principal)
	return p
}
