package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"stint/internal/principal"
	"stint/internal/query"
	"stint/internal/task"
)

// clientAPI serves one sort of clients.
type clientAPI struct {
	*api
	sort principal.Sort
	path string
}

func (a *api) clientsOf(sort principal.Sort) clientAPI {
	path := "/stint/v1/tokens"
	if sort == principal.Application {
		path = "/stint/v1/applications"
	}
	return clientAPI{a, sort, path}
}

// newClient is what a person decides of a client.
type newClient struct {
	Name    string   `json:"name"`
	User    string   `json:"user"`
	Levels  []string `json:"levels"`
	Scopes  []string `json:"scopes"`
	Sources []string `json:"sources"`
	Expires *string  `json:"expires"`
}

// client reads the body's words. Without scopes a client may use all that its
// levels let it.
func (b *newClient) client(sort principal.Sort) (principal.Client, error) {
	c := principal.Client{Sort: sort, Name: b.Name, User: b.User, Sources: b.Sources}
	if c.Name == "" {
		c.Name = b.User
	}
	for _, given := range b.Levels {
		level, ok := principal.ParseLevel(given)
		if !ok {
			return c, task.Errorf(task.IllegalValue, "levels", "%q is not a user level: %s", task.Abbreviate(given), principal.List(principal.Levels()))
		}
		c.Levels = append(c.Levels, level)
	}
	for _, given := range b.Scopes {
		scope, ok := principal.ParseScope(given)
		if !ok {
			return c, task.Errorf(task.IllegalValue, "scopes", "%q is not a scope: %s", task.Abbreviate(given), principal.List(principal.Scopes()))
		}
		c.Scopes = append(c.Scopes, scope)
	}
	if b.Scopes == nil {
		c.Scopes = []principal.Scope{principal.AllScopes}
	}
	if b.Expires != nil {
		t, err := time.Parse(time.RFC3339, *b.Expires)
		if err != nil {
			return c, task.Errorf(task.IllegalValue, "expires", "%q is not a time: RFC 3339, like 2027-01-31T00:00:00Z", task.Abbreviate(*b.Expires))
		}
		if t.IsZero() { // which would be never
			return c, task.Errorf(task.IllegalValue, "expires", "%s has passed", *b.Expires)
		}
		c.Expires = t
	}
	return c, nil
}

// service returns what manages clients.
func (a clientAPI) service() (Auth, error) {
	if a.auth == nil {
		return nil, task.Errorf(task.Conflict, "", "this server asks for no tokens and keeps none: start it without --insecure-no-auth")
	}
	return a.auth, nil
}

// clientID returns the id in the path; what cannot be one is not found.
func (a clientAPI) clientID(r *http.Request) (task.ID, error) {
	id, ok := task.ParseID(r.PathValue("id"))
	if !ok {
		return "", task.Errorf(task.NotFound, "", "no %s has the id %q", a.sort.Word(), task.Abbreviate(r.PathValue("id")))
	}
	return id, nil
}

func (a clientAPI) create(w http.ResponseWriter, r *http.Request) error {
	service, err := a.service()
	if err != nil {
		return err
	}
	var b newClient
	if err := a.readJSON(w, r, &b); err != nil {
		return err
	}
	why, err := reason(r)
	if err != nil {
		return err
	}
	c, err := b.client(a.sort)
	if err != nil {
		return err
	}
	if err := c.Within(principal.Of(r.Context())); err != nil {
		return err
	}
	c, secret, err := service.CreateClient(r.Context(), c, why, origin(r))
	if err != nil {
		return err
	}
	w.Header().Set("Location", a.path+"/"+string(c.ID))
	return writeSecret(w, http.StatusCreated, &c, secret)
}

// writeSecret answers with a client and its secret, which nobody can ask for
// again.
func writeSecret(w http.ResponseWriter, status int, c *principal.Client, secret string) error {
	body, err := c.MarshalWire()
	if err != nil {
		return err
	}
	extra, err := json.Marshal(map[string]string{"secret": secret})
	if err != nil {
		return fmt.Errorf("render a secret: %w", err)
	}
	noStore(w)
	writeJSON(w, status, []byte(strings.TrimSuffix(string(body), "}")+","+string(extra[1:])))
	return nil
}

func (a clientAPI) get(w http.ResponseWriter, r *http.Request) error {
	service, err := a.service()
	if err != nil {
		return err
	}
	id, err := a.clientID(r)
	if err != nil {
		return err
	}
	c, err := service.Client(r.Context(), a.sort, id)
	if err != nil {
		return err
	}
	body, err := c.MarshalWire()
	if err != nil {
		return err
	}
	writeTagged(w, r, body)
	return nil
}

func (a clientAPI) list(w http.ResponseWriter, r *http.Request) error {
	service, err := a.service()
	if err != nil {
		return err
	}
	page, err := query.Clients(a.sort).ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	found, total, err := service.ListClients(r.Context(), a.sort, page)
	if err != nil {
		return err
	}
	all := filling[principal.Client]{render: func(c *principal.Client) ([]byte, error) { return c.MarshalWire() }}
	return a.writeList(w, r, page, total, func(ctx context.Context) error { return all.write(ctx, w, found) })
}

func (a clientAPI) revoke(w http.ResponseWriter, r *http.Request) error {
	service, err := a.service()
	if err != nil {
		return err
	}
	id, err := a.clientID(r)
	if err != nil {
		return err
	}
	why, err := reason(r)
	if err != nil {
		return err
	}
	c, err := service.Revoke(r.Context(), a.sort, id, why, origin(r))
	if err != nil {
		return err
	}
	body, err := c.MarshalWire()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// rotate gives a client another secret. A body says why, if anything.
func (a clientAPI) rotate(w http.ResponseWriter, r *http.Request) error {
	service, err := a.service()
	if err != nil {
		return err
	}
	id, err := a.clientID(r)
	if err != nil {
		return err
	}
	why, err := a.bodyReason(w, r)
	if err != nil {
		return err
	}
	if err := a.mayRotate(r, service, id); err != nil {
		return err
	}
	c, secret, err := service.Rotate(r.Context(), a.sort, id, why, origin(r))
	if err != nil {
		return err
	}
	return writeSecret(w, http.StatusOK, &c, secret)
}

// mayRotate refuses to hand out the secret of a client that may do more than the
// caller. What a client may do never changes.
func (a clientAPI) mayRotate(r *http.Request, service Auth, id task.ID) error {
	c, err := service.Client(r.Context(), a.sort, id)
	if err != nil {
		return err
	}
	return c.Within(principal.Of(r.Context()))
}
