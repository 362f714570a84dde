package engine

import (
	"maps"
	"slices"
	"sync"

	"stint/internal/task"
)

// hub wakes those that wait for a task to change.
type hub struct {
	mu       sync.Mutex
	watchers map[task.ID]map[chan struct{}]struct{}
	closed   chan struct{}
	once     sync.Once
}

func newHub() *hub {
	return &hub{watchers: map[task.ID]map[chan struct{}]struct{}{}, closed: make(chan struct{})}
}

// watch returns a channel that holds a token whenever the task has changed
// since the token was last taken, and the function that ends the watch.
func (h *hub) watch(id task.ID) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers[id] == nil {
		h.watchers[id] = map[chan struct{}]struct{}{}
	}
	h.watchers[id][ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers[id], ch)
		if len(h.watchers[id]) == 0 {
			delete(h.watchers, id)
		}
	}
}

func (h *hub) notify(id task.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.watchers[id] {
		select {
		case ch <- struct{}{}:
		default: // it has not taken the last token yet
		}
	}
}

func (h *hub) notifyAll() {
	h.mu.Lock()
	ids := slices.Collect(maps.Keys(h.watchers))
	h.mu.Unlock()
	for _, id := range ids {
		h.notify(id)
	}
}

func (h *hub) close() { h.once.Do(func() { close(h.closed) }) }
