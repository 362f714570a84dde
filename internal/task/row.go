package task

import "time"

// Row is a task as lists and reads hand it out: the TaskStatus ready to be
// served, and beside it what only Stint's own resources show.
type Row struct {
	ID   ID
	Wire []byte // the TaskStatus; not to be changed

	Kind            Kind
	SourceID        string
	State           State
	Attempt         int
	LastReport      time.Time
	HeartbeatLimit  time.Duration
	CancelRequested time.Time
	BuiltIn         bool
	Created         time.Time
	// Duration is how long it ran, from its launch to its end; nil where it did not yet.
	Duration *time.Duration
	// SortKey is the value that a list is sorted on, as a store tells it; nil where there
	// is none, or the order is that of creation.
	SortKey *string
}

// NewRow renders a task.
func NewRow(t *Task) (Row, error) {
	wire, err := t.MarshalWire()
	if err != nil {
		return Row{}, err
	}
	row := Row{
		ID: t.ID, Wire: wire, Created: t.Created, Kind: t.Kind, SourceID: t.SourceID, State: t.State(), Attempt: t.Attempt,
		LastReport: t.LastReport, HeartbeatLimit: t.HeartbeatLimit, CancelRequested: t.CancelRequested, BuiltIn: t.BuiltIn,
	}
	if !t.Completed.IsZero() && !t.Launched.IsZero() {
		took := t.Completed.Sub(t.Launched)
		row.Duration = &took
	}
	return row, nil
}

// IdempotencyKey names a launch, so that its repeat makes nothing. An empty Key
// names none.
type IdempotencyKey struct {
	Key string
	// Client is whose key it is: the same text from another is another key.
	Client      string
	Fingerprint []byte // of the request; a key stands for one request only
}

// Stored returns the text under which a launch is remembered.
func (k IdempotencyKey) Stored() string {
	if k.Client == "" {
		return k.Key
	}
	return k.Client + "\n" + k.Key
}

// ImportResult counts what an import did.
type ImportResult struct {
	Added, Unchanged, Replaced int
}
