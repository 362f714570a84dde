package account

import (
	"encoding/json"

	"stint/internal/source"
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
	ParentName                        *string
	// Attributes are the task's own, beside those that the aggregation sets.
	Attributes map[string]json.RawMessage
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
	// File is how it was read: its source may be changed before it is read again.
	File source.File
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
	// File is how the run reads, from its first row to its last, whatever becomes of
	// its source's settings meanwhile.
	File  source.File `json:"file"`
	Bytes int64       `json:"bytes,omitempty"` // of the upload
	// Held is set where there is no upload: the entitlements that the stored
	// accounts hold are read.
	Held bool `json:"held,omitempty"`
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
	// Why says why deletions were withheld, in words.
	Why string `json:"why,omitempty"`

	Created int64 `json:"created,omitempty"` // done
	Updated int64 `json:"updated,omitempty"`
	Deleted int64 `json:"deleted,omitempty"`
}

// ToChange returns how many records the run changes in all, once compared.
func (s *State) ToChange() int64 { return s.New + s.Differing + s.Missing - s.Withheld }

// Changed returns how many records the run has changed.
func (s *State) Changed() int64 { return s.Created + s.Updated + s.Deleted }

// Work is one write transaction of an attempt: it stages, records and deletes
// for its run. Nothing of it is kept where the attempt has lost its fence.
type Work interface {
	// Stage keeps what was read. It returns the indexes of the records whose key
	// was staged before: those are not kept.
	Stage(records []Record) (clashes []int, err error)
	// Staged returns what was staged under a key.
	Staged(key string) (Record, error)
	// Restage keeps another record in place of the one staged under its key.
	Restage(r Record) error
	// Record creates and updates stored records.
	Record(changes []Recorded) error
	// Delete deletes stored records.
	Delete(gone []Gone) error
	// SetState keeps how far the run has come.
	SetState(s *State) error
}

// Recorded is one record to create or update.
type Recorded struct {
	Record
	// ID is the id of a new one; of an update it is ignored.
	ID     task.ID
	Change Change
	// Attributes are the names of those that differ; for updates only.
	Attributes []string
}

// Gone is a stored record that its source does not have any more.
type Gone struct{ Key, Name string }

// Counts says how a range of staged records compares with what is stored.
type Counts struct {
	// Last is the last key of the range; Rows is how many it holds, 0 at the end.
	Last string
	Rows int64
	// New are not stored, Differing say something else than what is stored, Kept
	// are to be left as they are.
	New, Differing, Kept int64
}

// Difference is a staged record that is new, or says something else than what
// is stored, or (where all are asked for) the same.
type Difference struct {
	Record
	Before *Record // nil: new
}
