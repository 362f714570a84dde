package account

import (
	"time"

	"stint/internal/task"
)

// Phase is how far a run has come.
type Phase string

// The phases of a run, in their order.
const (
	Collecting Phase = "collecting" // reads the source
	Comparing  Phase = "comparing"  // counts what is new, changed and gone
	Applying   Phase = "applying"   // records what is new and changed
	Deleting   Phase = "deleting"   // deletes what is gone
	Finished   Phase = "finished"
)

// Launch says which aggregation to launch.
type Launch struct {
	SourceID task.ID
	Class    Class
	// Upload is the file to read; a zero one: none, the entitlements that the
	// stored accounts hold are recorded.
	Upload Upload

	UniqueName, Description, Launcher string
	Options
}

// Options are the choices of whoever launches a run.
type Options struct {
	// DisableOptimization processes unchanged records too.
	DisableOptimization bool `json:"disableOptimization,omitempty"`
	// AllowDeletions lets as many deletions pass, whatever the source's threshold.
	AllowDeletions int64 `json:"allowDeletions,omitempty"`
}

// Upload is a file that was received, checked and stored.
type Upload struct {
	ID task.ID
	// Columns are those of its header, in their order.
	Columns []string
	// Bytes is its length, Rows how many it has after the header.
	Bytes, Rows int64
}

// Run is an aggregation: what it is to do and how far it has come.
type Run struct {
	TaskID   task.ID
	SourceID task.ID
	Class    Class
	Upload   task.ID // empty: none
	State    State
}

// State is what a run has done so far; an interrupted one goes on from it.
type State struct {
	Options
	Phase   Phase    `json:"phase"`
	Columns []string `json:"columns,omitempty"` // of the upload
	Bytes   int64    `json:"bytes,omitempty"`   // of the upload
	// Offset and Line are where reading the upload goes on: in bytes, and the
	// number of the last line read.
	Offset int64 `json:"offset,omitempty"`
	Line   int64 `json:"line,omitempty"`
	// After is the key after which the phase goes on.
	After string `json:"after,omitempty"`

	Rows     int64 `json:"rows,omitempty"`     // read, good or bad
	Total    int64 `json:"total,omitempty"`    // distinct records read
	Problems int64 `json:"problems,omitempty"` // rows that were not taken, or not whole
	Listed   int   `json:"listed,omitempty"`   // messages about them

	Stored    int64 `json:"stored,omitempty"` // before the run
	New       int64 `json:"new,omitempty"`    // as compared
	Differing int64 `json:"differing,omitempty"`
	Unchanged int64 `json:"unchanged,omitempty"`
	Missing   int64 `json:"missing,omitempty"`
	Withheld  int64 `json:"withheld,omitempty"` // of the missing, not deleted

	Created int64 `json:"created,omitempty"` // done
	Updated int64 `json:"updated,omitempty"`
	Deleted int64 `json:"deleted,omitempty"`
}

// ToChange returns how many records the run changes in all, once compared.
func (s *State) ToChange() int64 { return s.New + s.Differing + s.Missing - s.Withheld }

// Changed returns how many records the run has changed.
func (s *State) Changed() int64 { return s.Created + s.Updated + s.Deleted }


// RunStatus is how an aggregation stands, for those who watch it.
type RunStatus struct {
	Start  time.Time
	Status string
	// Total counts new, changed and deleted records only, as Processed does.
	Total, Processed, MarkedForDeletion, Deleted int64
}
