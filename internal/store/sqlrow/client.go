package sqlrow

import (
	"encoding/json"
	"fmt"
	"time"

	"stint/internal/principal"
	"stint/internal/task"
)

// clientSettings is what the column settings holds, as JSON.
type clientSettings struct {
	Levels  []principal.Level `json:"levels,omitempty"`
	Scopes  []principal.Scope `json:"scopes"`
	Sources []string          `json:"sources,omitempty"`
}

// ClientSettings returns what a client has in its column settings.
func ClientSettings(c *principal.Client) ([]byte, error) {
	return json.Marshal(clientSettings{c.Levels, c.Scopes, c.Sources})
}

// ScanClient reads a client: id, sort, name, user, settings, digest, created, modified,
// expires, revoked, last_used.
func ScanClient(row Scanner) (principal.Client, error) {
	var (
		c                 principal.Client
		id, settings      []byte
		user              *string
		created, modified int64
		expires, revoked  *int64
		used              *int64
		stored            clientSettings
	)
	err := row.Scan(&id, &c.Sort, &c.Name, &user, &settings, &c.Digest, &created, &modified, &expires, &revoked, &used)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(settings, &stored); err != nil {
		return c, fmt.Errorf("read the settings of a client: %w", err)
	}
	c.ID, c.User = ID(id), orEmpty(user)
	c.Levels, c.Scopes, c.Sources = stored.Levels, stored.Scopes, stored.Sources
	c.Created, c.Modified = time.UnixMilli(created).UTC(), time.UnixMilli(modified).UTC()
	c.Expires, c.Revoked, c.LastUsed = Time(expires), Time(revoked), Time(used)
	return c, nil
}

// NoClient is the error of a look-up that may have found nothing.
func NoClient(id task.ID, err error) error { return none(err, "client", id) }
