package principal

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stint/internal/task"
)

// Sort is the sort of a client.
type Sort string

// The sorts of clients.
const (
	// PersonalAccessToken acts for a user.
	PersonalAccessToken Sort = "PERSONAL_ACCESS_TOKEN"
	// Application has no user.
	Application Sort = "APPLICATION"
)

// Word is what people call one.
func (s Sort) Word() string {
	if s == Application {
		return "application"
	}
	return "personal access token"
}

// Client is what signs in with an id and a secret.
type Client struct {
	ID   task.ID
	Sort Sort
	Name string
	// User is whom it acts for; empty for an application.
	User   string
	Levels []Level
	Scopes []Scope
	// Sources are the ids of those that a limited level may act on.
	Sources []string
	// Digest is the keyed hash of its secret.
	Digest []byte

	Created, Modified time.Time
	// Expires, Revoked and LastUsed are zero where that never is, or never was.
	Expires, Revoked, LastUsed time.Time
}

// Live reports whether the client may sign in at a time.
func (c *Client) Live(now time.Time) bool {
	return c.Revoked.IsZero() && (c.Expires.IsZero() || now.Before(c.Expires))
}

// Principal is whom it acts as.
func (c *Client) Principal() *Principal {
	p := &Principal{
		Client: string(c.ID), Name: c.User, User: c.Sort == PersonalAccessToken,
		Levels: c.Levels, Scopes: c.Scopes, Sources: c.Sources, Expires: c.Expires,
	}
	if !p.User {
		p.Name = c.Name
	}
	return p
}

const (
	maxName    = 128
	maxSources = 1000
)

// Check returns an error that names the field unless the client can be made.
func (c *Client) Check() error {
	if c.Sort == PersonalAccessToken {
		if err := CheckName("user", c.User); err != nil {
			return err
		}
	}
	if err := CheckName("name", c.Name); err != nil {
		return err
	}
	switch {
	case c.Sort == PersonalAccessToken:
		if len(c.Levels) == 0 {
			return task.Errorf(task.Missing, "levels", "is empty: one or more of %s", List(Levels()))
		}
	case c.User != "":
		return task.Errorf(task.IllegalValue, "user", "%q is not allowed: an application has no user", task.Abbreviate(c.User))
	case len(c.Levels) > 0:
		return task.Errorf(task.IllegalValue, "levels", "%s is not allowed: an application has no user, and so no level", List(c.Levels))
	}
	if len(c.Scopes) == 0 {
		return task.Errorf(task.Missing, "scopes", "is empty: one or more of %s", List(Scopes()))
	}
	if len(c.Sources) > maxSources {
		return task.Errorf(task.IllegalValue, "sources", "%d are too many: at most %d", len(c.Sources), maxSources)
	}
	if len(c.Sources) > 0 && !slices.ContainsFunc(c.Levels, Level.limited) {
		return task.Errorf(task.IllegalValue, "sources", "limits nobody: only %s and %s act on the sources of their token alone",
			SourceSubadmin, RoleSubadmin)
	}
	for _, s := range c.Sources {
		if err := CheckName("sources", s); err != nil {
			return err
		}
	}
	if !c.Expires.IsZero() && !c.Expires.After(c.Created) {
		return task.Errorf(task.IllegalValue, "expires", "%s has passed", task.FormatTime(c.Expires))
	}
	return nil
}

// CheckName returns an error about a field unless s can be a name: something that
// people see and do not take for another.
func CheckName(field, s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return task.Errorf(task.Missing, field, "is empty")
	case !utf8.ValidString(s):
		return task.Errorf(task.IllegalValue, field, "is not valid UTF-8")
	case utf8.RuneCountInString(s) > maxName:
		return task.Errorf(task.IllegalValue, field, "%d characters are too many: at most %d", utf8.RuneCountInString(s), maxName)
	case strings.TrimSpace(s) != s:
		return task.Errorf(task.IllegalValue, field, "%q begins or ends with a space", task.Abbreviate(s))
	case strings.ContainsFunc(s, func(r rune) bool {
		return unicode.Is(unicode.C, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
	}):
		// It would look like another's name.
		return task.Errorf(task.IllegalValue, field, "%q holds a character that cannot be seen", task.Abbreviate(s))
	}
	return nil
}

// Within returns an error of kind Forbidden where the client would have more than
// its maker.
func (c *Client) Within(p *Principal) error {
	if !p.Expires.IsZero() && (c.Expires.IsZero() || c.Expires.After(p.Expires)) {
		return task.Errorf(task.Forbidden, "expires", "is later than that of the maker's own token: %s", task.FormatTime(p.Expires))
	}
	if slices.Contains(p.Scopes, AllScopes) {
		return nil
	}
	for _, s := range c.Scopes {
		if !slices.Contains(p.Scopes, s) {
			return task.Errorf(task.Forbidden, "scopes", "%s is more than the maker's own token has: %s", s, List(p.Scopes))
		}
	}
	return nil
}

// SigningKey is a key that signs access tokens, as it is stored.
type SigningKey struct {
	ID      string
	Created time.Time
	// Retired is when another took its place; zero for the one that signs.
	Retired time.Time
	// Sealed is the private key, encrypted.
	Sealed []byte
}
