package dump

import (
	"bytes"

	"stint/internal/audit"
	"stint/internal/task"
)

// Content follows the rows that a store is given and says whether they can be the
// content of one under a key.
type Content struct {
	follower *follower
	key      *audit.Chain
	settings map[string][]byte
	chain    *audit.Chain // nil until the settings are through
	heads    int
}

// Follow returns the Content of a store that has no row yet. chain is the store's
// own: its key must be that of the settings.
func Follow(chain *audit.Chain) *Content {
	return &Content{follower: newFollower(), key: chain, settings: map[string][]byte{}}
}

// Add checks the next row. An error is of kind Content, or Conflict where the key
// does not fit.
func (c *Content) Add(r *Row) error {
	if err := c.follower.take(r); err != nil {
		return err
	}
	switch r.Table {
	case Settings:
		name, _ := r.Values[0].(string)
		c.settings[name], _ = r.Values[1].([]byte)
		return nil
	case AuditHeads:
		if n, _ := r.Values[0].(int64); n != int64(c.heads) {
			return r.Errorf("shard", "%d is expected", c.heads)
		}
		c.heads++
	}
	return c.begin()
}

// begin finds the chain in the settings.
func (c *Content) begin() error {
	if c.chain != nil {
		return nil
	}
	deployment, check := c.settings[SettingDeployment], c.settings[SettingKeyCheck]
	if len(deployment) == 0 || len(check) == 0 {
		return task.Errorf(task.Content, "", "the settings %s and %s are missing: without them the audit has no chain", SettingDeployment, SettingKeyCheck)
	}
	chain := c.key.Of(task.ID(deployment))
	if own := chain.KeyCheck(); !bytes.Equal(own[:], check) {
		return task.Errorf(task.Conflict, "", "the key file is not that of the database that was exported; its key file moves with it, "+
			"and --key-file names it")
	}
	c.chain = chain
	return nil
}

// End is called after the last row. It returns the chain that the audit of the
// store goes on with.
func (c *Content) End() (*audit.Chain, Counts, error) {
	if err := c.begin(); err != nil {
		return nil, nil, err
	}
	if c.heads != audit.Shards {
		return nil, nil, task.Errorf(task.Content, "", "%s: %d rows, and there must be %d", AuditHeads, c.heads, audit.Shards)
	}
	return c.chain, c.follower.counts, nil
}
