package engine

import (
	"sync"
	"time"
)

// unknown is how long the queue may take a job for running here that has not begun:
// it was picked a moment ago, or its attempt has just ended.
const unknown = 10 * time.Second

// forgotten is how long a row is remembered that nothing here runs: long ended.
const forgotten = time.Hour

// active knows which jobs this process runs. The queue's rows say it too, but not
// the truth where the answer to picking one was lost with the connection.
type active struct {
	mu      sync.Mutex
	running map[int64]struct{}
	missed  map[int64]time.Time // since when a row is known that nothing here runs
}

// add notes that a job runs until the returned function is called.
func (a *active) add(id int64) func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running == nil {
		a.running = map[int64]struct{}{}
	}
	a.running[id] = struct{}{}
	delete(a.missed, id)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.running, id)
	}
}

// count is how many jobs run.
func (a *active) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.running)
}

// has reports whether a job runs here, or may be about to.
func (a *active) has(id int64, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, runs := a.running[id]; runs {
		delete(a.missed, id)
		return true
	}
	since, known := a.missed[id]
	if known {
		return now.Sub(since) < unknown
	}
	if a.missed == nil {
		a.missed = map[int64]time.Time{}
	}
	for old, since := range a.missed {
		if now.Sub(since) > forgotten {
			delete(a.missed, old)
		}
	}
	a.missed[id] = now
	return true
}
