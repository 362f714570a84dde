package principal

import (
	"encoding/json"
	"fmt"
	"time"

	"stint/internal/task"
)

// clientBody is a client as people see it.
type clientBody struct {
	ID       task.ID  `json:"id"`
	Type     Sort     `json:"type"`
	Name     string   `json:"name"`
	User     string   `json:"user,omitempty"`
	Levels   []Level  `json:"levels,omitempty"`
	Scopes   []Scope  `json:"scopes"`
	Sources  []string `json:"sources,omitempty"`
	Created  string   `json:"created"`
	Modified string   `json:"modified"`
	Expires  *string  `json:"expires"`
	Revoked  *string  `json:"revoked"`
	LastUsed *string  `json:"lastUsed"`
}

// MarshalWire returns the JSON of a client, without anything secret.
func (c *Client) MarshalWire() ([]byte, error) {
	body, err := json.Marshal(clientBody{
		ID: c.ID, Type: c.Sort, Name: c.Name, User: c.User, Levels: c.Levels, Scopes: c.Scopes, Sources: c.Sources,
		Created: task.FormatTime(c.Created), Modified: task.FormatTime(c.Modified),
		Expires: optional(c.Expires), Revoked: optional(c.Revoked), LastUsed: optional(c.LastUsed),
	})
	if err != nil {
		return nil, fmt.Errorf("render client: %w", err)
	}
	return body, nil
}

func optional(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := task.FormatTime(t)
	return &s
}

// Grant is what a client gets for its secret.
type Grant struct {
	AccessToken string
	Lifetime    time.Duration
	Scopes      []Scope
}
