package sqlrow

import (
	"errors"

	"stint/internal/task"
)

// FeedID returns the 16 bytes of the id of a position in the feed.
func FeedID(id task.ID) []byte {
	if b := Blob(id); b != nil {
		return b
	}
	return make([]byte, 16)
}

// ErrEnough ends a query of which enough was read.
var ErrEnough = errors.New("enough")

// Collector reads what has changed, up to Limit tasks of some MaxHeld bytes.
type Collector struct {
	*task.Changes
	Feed           [8]byte
	Limit, MaxHeld int
	held           int
}

// Scan reads a row of the column changed and RowColumns.
func (c *Collector) Scan(row Scanner) error {
	if c.held >= c.MaxHeld {
		return c.stop(ErrEnough)
	}
	at := task.Position{Feed: c.Feed}
	r, err := ScanRow(Leading{row, &at.Changed})
	if err != nil {
		return err
	}
	at.ID = r.ID
	c.held += len(r.Wire)
	if c.Tasks = append(c.Tasks, task.Changed{Row: r, At: at}); len(c.Tasks) == c.Limit {
		return c.stop(nil)
	}
	return nil
}

// stop has the next look go on behind the last task that was read.
func (c *Collector) stop(err error) error {
	c.Next, c.More = c.Tasks[len(c.Tasks)-1].At, true
	return err
}

// Leading is a row whose first column goes to First, before those of another scan.
type Leading struct {
	Row   Scanner
	First any
}

// Scan implements Scanner.
func (l Leading) Scan(dest ...any) error { return l.Row.Scan(append([]any{l.First}, dest...)...) }
