package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"stint/internal/apptest"
)

// witness sees every answer that any client gets: a task that was seen complete must
// look the same in each answer to whoever asks afterwards, on whatever node.
type witness struct {
	c    *cluster
	next http.RoundTripper
	n    atomic.Int64

	mu     sync.Mutex
	serial int
	seen   map[string]sight // by form and id
}

// sight is a task when it was first seen complete.
type sight struct {
	body   string
	serial int
}

func newWitness(c *cluster, next http.RoundTripper) *witness {
	return &witness{c: c, next: next, seen: map[string]sight{}}
}

// checkEvery is how many answers come between two that are held against the contract
// to the letter: that takes more time than all the rest.
const checkEvery = 5

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	before := w.serial
	w.mu.Unlock()
	response, err := w.next.RoundTrip(r)
	if err != nil {
		w.c.journal.add("requests without an answer", 1)
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		w.c.journal.add("requests without an answer", 1)
		return nil, fmt.Errorf("read the body: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	w.c.journal.add(fmt.Sprintf("answers %d", response.StatusCode), 1)
	what := r.Method + " " + r.URL.RequestURI()
	switch code := response.StatusCode; {
	case code == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "":
		w.c.tb.Errorf("%s: 503 without Retry-After: %.500s", what, body)
	case code >= 500 && code != http.StatusServiceUnavailable:
		w.c.tb.Errorf("%s on %s: %s: %.500s", what, r.URL.Host, response.Status, body)
	case code == http.StatusOK:
		w.look(what, r, body, before)
	}
	if w.n.Add(1)%checkEvery == 0 {
		if err := apptest.Check(r, response, body); err != nil {
			w.c.tb.Errorf("%s: the answer breaks the contract: %v\n%.500s", what, err, body)
		}
	}
	return response, nil
}

var aTask = regexp.MustCompile(`^(/stint/v1/tasks|/task-status/v1)(/[0-9a-f]{32})?(/wait|/cancel)?$`)

// look looks at the tasks of an answer to a request that was sent after so many
// sights.
func (w *witness) look(what string, r *http.Request, body []byte, before int) {
	parts := aTask.FindStringSubmatch(r.URL.Path)
	if parts == nil || r.Method == http.MethodPost && parts[3] != "/cancel" {
		return
	}
	tasks := []map[string]json.RawMessage{{}}
	var into any = &tasks
	if parts[2] != "" {
		into = &tasks[0]
	}
	if err := json.Unmarshal(body, into); err != nil {
		w.c.tb.Errorf("%s: %v: %.500s", what, err, body)
		return
	}
	for _, members := range tasks {
		delete(members, "history") // a refused report adds to it
		text, err := json.Marshal(members)
		if err != nil {
			w.c.tb.Errorf("%s: %v", what, err)
			return
		}
		done := string(members["completionStatus"]) != "null"
		w.see(what, parts[1]+" "+strings.Trim(string(members["id"]), `"`), string(text), done, before)
	}
}

func (w *witness) see(what, key, body string, done bool, before int) {
	w.mu.Lock()
	first, known := w.seen[key]
	if !known && done {
		w.serial++
		w.seen[key] = sight{body, w.serial}
	}
	w.mu.Unlock()
	if known && (first.serial <= before || done) && first.body != body {
		w.c.tb.Errorf("%s: a task was seen complete, and looks different afterwards:\n%s\n%s", what, first.body, body)
	}
}
