package execrun

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"stint/client"
)

const (
	spoolVersion  = 1
	refusedFolder = "refused"
	lockName      = "lock"
	entrySuffix   = ".json"
	tempPrefix    = ".tmp-"
	// maxEntry bounds the reading of an entry, far above what is ever written.
	maxEntry = 64 << 20
)

// entryState says how much is known about the run of an entry.
type entryState string

const (
	// stateStarted: the program was started; unless its stint exec lives, its end is not
	// known.
	stateStarted entryState = "started"
	// stateFinished: everything is in the entry.
	stateFinished entryState = "finished"
)

// entry is one run that the server was not told about.
type entry struct {
	Version int        `json:"version"`
	State   entryState `json:"state"`
	// URL is the server that is to be told.
	URL      string           `json:"url"`
	Program  string           `json:"program"`
	Started  time.Time        `json:"started"`
	Finished *time.Time       `json:"finished,omitempty"`
	Delivery *client.Delivery `json:"delivery"`
	Refused  *refusal         `json:"refused,omitempty"`
}

// refusal is why an entry was set aside.
type refusal struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Spool is a directory of runs to tell a server about later. Several processes may use it
// at once: whoever writes an entry owns it by a file lock until it is done or dies.
type Spool struct {
	dir string
	now func() time.Time
}

// NewSpool makes a spool; the directory is made when something is written.
func NewSpool(dir string, now func() time.Time) *Spool {
	return &Spool{dir: dir, now: now}
}

// Dir is where the entries are.
func (s *Spool) Dir() string { return s.dir }

// ownedEntry is an entry that this process owns. It is its own until close.
type ownedEntry struct {
	spool *Spool
	name  string
	lock  *os.File
}

// newEntry names an entry that is not written yet. Names sort by time.
func (s *Spool) newEntry(started time.Time) *ownedEntry {
	return &ownedEntry{spool: s, name: started.UTC().Format("20060102T150405.000Z") + "-" + rand.Text() + entrySuffix}
}

// write stores the entry durably, in place of an earlier one of the same name, and keeps it
// locked: no other process takes it for an orphan.
func (o *ownedEntry) write(e *entry) error {
	locked, err := o.spool.store(o.spool.dir, o.name, e)
	if err != nil {
		return err
	}
	o.close()
	o.lock = locked
	return nil
}

// remove deletes the entry, if it was written, and gives up the lock.
func (o *ownedEntry) remove() error {
	if o.lock == nil {
		return nil
	}
	defer o.close()
	return o.spool.drop(o.name)
}

// setAside stores the entry with the reason of its refusal, out of the way of deliveries.
func (o *ownedEntry) setAside(e *entry, reason string) error {
	if err := o.spool.setAside(o.name, e, reason); err != nil {
		return err
	}
	return o.remove()
}

// close gives the entry up; if it is still there, the next stint exec delivers it.
func (o *ownedEntry) close() {
	if o.lock != nil {
		_ = o.lock.Close()
		o.lock = nil
	}
}

// store writes an entry durably: into a temporary file that is synced, then renamed into
// place, then the directory is synced. The file is locked before it has its name.
func (s *Spool) store(dir, name string, e *entry) (*os.File, error) {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding a spool entry: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the spool directory: %w", err)
	}
	file, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("writing a spool entry: %w", err)
	}
	if err := s.fill(file, append(text, '\n'), filepath.Join(dir, name)); err != nil {
		_ = file.Close()
		_ = os.Remove(file.Name())
		return nil, fmt.Errorf("writing a spool entry: %w", err)
	}
	return file, nil
}

func (s *Spool) fill(file *os.File, text []byte, path string) error {
	if err := lockFile(file, false); err != nil {
		return err
	}
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func (s *Spool) drop(name string) error {
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a spool entry: %w", err)
	}
	return syncDir(s.dir)
}

func (s *Spool) setAside(name string, e *entry, reason string) error {
	aside := *e
	aside.Refused = &refusal{At: s.now().UTC(), Reason: reason}
	file, err := s.store(filepath.Join(s.dir, refusedFolder), name, &aside)
	if err != nil {
		return err
	}
	return file.Close()
}

// setAsideRaw moves an entry that cannot be read, with the reason beside it.
func (s *Spool) setAsideRaw(name, reason string) error {
	dir := filepath.Join(s.dir, refusedFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the spool directory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".reason"), []byte(reason+"\n"), 0o600); err != nil {
		return fmt.Errorf("setting a spool entry aside: %w", err)
	}
	if err := os.Rename(filepath.Join(s.dir, name), filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("setting a spool entry aside: %w", err)
	}
	return syncDir(s.dir)
}

// names lists the entries, oldest first.
func (s *Spool) names() ([]string, error) {
	files, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the spool: %w", err)
	}
	var names []string
	for _, f := range files {
		if f.Type().IsRegular() && strings.HasSuffix(f.Name(), entrySuffix) && !strings.HasPrefix(f.Name(), ".") {
			names = append(names, f.Name())
		}
	}
	return names, nil
}

var (
	errOwned   = errors.New("the entry belongs to a running stint exec")
	errCorrupt = errors.New("the entry cannot be read")
)

// take opens an entry that no living process owns, and owns it. errOwned, fs.ErrNotExist and
// errCorrupt (then with an owner too) say why not.
func (s *Spool) take(name string) (*ownedEntry, *entry, error) {
	path := filepath.Join(s.dir, name)
	file, err := os.Open(path) //nolint:gosec // a name that the directory listed
	if err != nil {
		return nil, nil, err
	}
	owned := &ownedEntry{spool: s, name: name, lock: file}
	if err := lockFile(file, false); err != nil {
		owned.close()
		return nil, nil, errOwned
	}
	// It may have been replaced or delivered between opening and locking.
	mine, err := file.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(path); err == nil && !os.SameFile(mine, there) {
			err = errOwned
		}
	}
	if err != nil {
		owned.close()
		return nil, nil, err
	}
	e := new(entry)
	if err := json.NewDecoder(io.LimitReader(file, maxEntry)).Decode(e); err != nil {
		return owned, nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	whole := e.Delivery != nil && (e.Delivery.TaskID != "" || e.Delivery.Launch != nil)
	if e.Version != spoolVersion || !whole || (e.State != stateStarted && e.State != stateFinished) {
		return owned, nil, fmt.Errorf("%w: not an entry of version %d", errCorrupt, spoolVersion)
	}
	return owned, e, nil
}

// removeOldTemps deletes what a killed writer left half written. Young ones may be in use.
func (s *Spool) removeOldTemps() {
	files, err := filepath.Glob(filepath.Join(s.dir, tempPrefix+"*"))
	if err != nil {
		return
	}
	for _, f := range files {
		if info, err := os.Lstat(f); err == nil && s.now().Sub(info.ModTime()) > time.Hour {
			_ = os.Remove(f)
		}
	}
}
