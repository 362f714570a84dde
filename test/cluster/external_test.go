package cluster

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"stint/client"
	"stint/test/harness"
)

// external is a task that clients run, and what they know of it: what was answered,
// and what was sent beyond that and may or may not have been done.
type external struct {
	name  string // of nothing else
	key   string // Idempotency-Key; empty where it was launched without
	limit time.Duration

	mu        sync.Mutex
	launches  int // sent
	id, token string
	sent      int64          // number of the last report
	answered  map[int64]bool // reports
	ends      []end          // that were sent
	cancels   map[bool]int   // asked for, by whether that was answered
	heard     time.Time      // when the last report was sent that was answered
	clears    map[bool]int   // the same for clears
	refused   int            // reports that were answered so
}

// end is an end of a task that somebody has sent.
type end struct {
	status   client.CompletionStatus
	clear    bool
	answered bool
}

// worker is a client that launches tasks, runs them, and meddles in those of others.
type worker struct {
	name   string
	c      *cluster
	random *rand.Rand
	plan   *plan
	n      int
}

// plan is what all workers share.
type plan struct {
	over func() bool
	mu   sync.Mutex
	all  []*external
}

func (p *plan) add(e *external) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, e)
}

func (p *plan) any(random *rand.Rand) *external {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) == 0 {
		return nil
	}
	// One of the last: the others have ended.
	return p.all[max(0, len(p.all)-1-random.IntN(12))]
}

func statuses() []client.CompletionStatus {
	return []client.CompletionStatus{client.Success, client.Warning, client.Failure, client.Terminated, client.TempError}
}

// run works until the plan is over.
func (w *worker) run() {
	for !w.plan.over() {
		e := w.launch()
		if e.id == "" {
			continue
		}
		for range w.random.IntN(8) {
			w.step(e)
			harness.Pause(time.Duration(w.random.IntN(300)) * time.Millisecond)
		}
		if w.random.IntN(3) == 0 {
			if other := w.plan.any(w.random); other != nil {
				w.meddle(other)
			}
		}
		w.finish(e)
	}
}

func (w *worker) ctx() context.Context { return w.c.tb.Context() }

// launch launches a task, with a key mostly, and then until it is answered.
func (w *worker) launch() *external {
	w.n++
	e := &external{
		name: fmt.Sprintf("%s-%d", w.name, w.n), answered: map[int64]bool{}, cancels: map[bool]int{}, clears: map[bool]int{},
		limit: []time.Duration{0, 5 * time.Second, 20 * time.Second}[w.random.IntN(3)],
	}
	if w.random.IntN(4) > 0 {
		e.key = client.NewIdempotencyKey()
	}
	w.plan.add(e)
	n := w.c.any(w.random)
	if e.key != "" && w.random.IntN(4) == 0 {
		// Two at once: one of them has launched it.
		var wg sync.WaitGroup
		var replayed [2]*bool
		for i, n := range []*node{n, w.c.other(w.random, n)} {
			wg.Go(func() { replayed[i], _ = w.launchOnce(n, e) })
		}
		wg.Wait()
		if replayed[0] != nil && replayed[1] != nil && *replayed[0] == *replayed[1] {
			w.c.tb.Errorf("task %s: two launches with one key at once; both answered replayed=%t", e.id, *replayed[0])
		}
	} else {
		_, _ = w.launchOnce(n, e)
	}
	w.insist(e)
	if e.id != "" && e.key != "" && w.random.IntN(4) == 0 {
		if replayed, _ := w.launchOnce(w.c.any(w.random), e); replayed != nil && !*replayed {
			w.c.tb.Errorf("task %s: its launch was repeated, and was not said to be a repeat", e.id)
		}
	}
	return e
}

// insist repeats a launch with a key until it is known what became of it.
func (w *worker) insist(e *external) {
	for deadline := time.Now().Add(2 * time.Minute); e.key != "" && e.id == ""; harness.Pause(100 * time.Millisecond) {
		if _, err := w.launchOnce(w.c.any(w.random), e); err != nil && time.Now().After(deadline) {
			w.c.tb.Errorf("the launch of %s is not answered: %v", e.name, err)
			return
		}
	}
}

// launchOnce launches a task on a node. It returns whether the answer says that this
// was a repeat, nil without an answer.
func (w *worker) launchOnce(n *node, e *external) (replayed *bool, err error) {
	e.mu.Lock()
	e.launches++
	e.mu.Unlock()
	body, err := json.Marshal(client.LaunchRequest{
		Type: "IDENTITY_REFRESH", UniqueName: e.name, Launcher: w.name, SourceID: "source of " + w.name, HeartbeatLimitSeconds: int(e.limit / time.Second),
	})
	if err != nil {
		return nil, err
	}
	launched := new(client.Launched)
	header, err := w.c.post(w.ctx(), n, "/stint/v1/tasks", body, map[string]string{"Idempotency-Key": e.key}, launched)
	w.c.journal.note(cmp.Or(launched.ID, "(unanswered)"), "%s launches %s with key %q on node %d: %v", w.name, e.name, e.key, n.number, err)
	if err != nil {
		if no, ok := errors.AsType[*refusal](err); ok && no.status < 500 {
			w.c.tb.Errorf("the launch of %s is refused: %v", e.name, err)
		}
		return nil, err
	}
	w.c.journal.add("launches answered", 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.id != "" && e.id != launched.ID {
		w.c.tb.Errorf("one launch, of %s with the key %s, made the tasks %s and %s", e.name, e.key, e.id, launched.ID)
	}
	e.id, e.token = launched.ID, launched.ReportToken
	was := strings.EqualFold(header.Get("Idempotency-Replayed"), "true")
	return &was, nil
}

// refusal is an answer that says no.
type refusal struct {
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %.300s", r.status, r.body) }

// post sends one POST request, once.
func (c *cluster) post(ctx context.Context, n *node, path string, body []byte, header map[string]string, out any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 {
		return nil, &refusal{answer.StatusCode, text.String()}
	}
	return answer.Header, json.Unmarshal(text.Bytes(), out)
}

// step does one of the things that whoever runs a task does.
func (w *worker) step(e *external) {
	e.mu.Lock()
	last := e.sent
	e.mu.Unlock()
	switch w.random.IntN(8) {
	case 0:
		_ = w.report(w.c.any(w.random), e, "a heartbeat", client.Report{Attempt: 1})
	case 1: // of an attempt that never was
		if err := w.report(w.c.any(w.random), e, "a stale heartbeat", client.Report{Attempt: 2}); err == nil {
			w.c.tb.Errorf("task %s: a report of attempt 2 was taken, there is none", e.id)
		}
	case 2:
		if last > 0 {
			w.again(e, last)
		}
	default:
		e.mu.Lock()
		e.sent++
		last = e.sent
		e.mu.Unlock()
		if w.number(e, last) == nil {
			e.mu.Lock()
			e.answered[last] = true
			e.mu.Unlock()
		}
	}
}

// again sends a report again, to another node perhaps: it must be known for sure then
// that it was taken, once.
func (w *worker) again(e *external, n int64) {
	e.mu.Lock()
	was := e.answered[n]
	e.mu.Unlock()
	err := w.number(e, n)
	switch {
	case err == nil && was:
		w.c.tb.Errorf("task %s: report %d was taken twice", e.id, n)
	case err == nil, errors.Is(err, client.ErrDuplicate):
		e.mu.Lock()
		e.answered[n] = true
		e.mu.Unlock()
	}
}

// number sends the n-th report of a task.
func (w *worker) number(e *external, n int64) error {
	text := fmt.Sprintf("step %d", n)
	percent := int(min(99, n))
	return w.report(w.c.any(w.random), e, text, client.Report{
		Attempt: 1, Sequence: n, Progress: &text, PercentComplete: &percent,
		Messages: []client.ReportMessage{{Type: client.MessageInfo, Key: "step", Text: text}},
	})
}

func (w *worker) report(n *node, e *external, what string, r client.Report) error {
	sent := time.Now()
	_, err := n.client.Report(w.ctx(), e.id, e.token, r)
	w.c.journal.note(e.id, "%s reports %s on node %d: %v", w.name, what, n.number, err)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		w.c.journal.add("reports answered", 1)
		if sent.After(e.heard) {
			e.heard = sent
		}
		return nil
	}
	if no, ok := errors.AsType[*client.Error](err); ok {
		switch {
		case no.Status == http.StatusConflict:
			e.refused++
			w.c.journal.add("reports refused", 1)
		case no.Status < 500:
			w.c.tb.Errorf("task %s: the report of %s: %v", e.id, what, err)
		}
	}
	return err
}

// finish ends a task, or leaves it.
func (w *worker) finish(e *external) {
	status := statuses()[w.random.IntN(5)]
	switch w.random.IntN(8) {
	case 0: // nobody ends it
	case 1:
		w.clear(e, status)
	case 2:
		w.cancel(e)
		w.step(e)
		w.complete(e, status)
	case 3: // two at once
		var wg sync.WaitGroup
		other := &worker{name: w.name + "'s rival", c: w.c, random: rand.New(rand.NewPCG(w.random.Uint64(), 0)), plan: w.plan}
		against := statuses()[w.random.IntN(5)]
		wg.Go(func() { other.clear(e, against) })
		w.complete(e, status)
		wg.Wait()
	default:
		if w.complete(e, status) {
			w.afterwards(e, status)
		}
	}
}

// afterwards does what is too late.
func (w *worker) afterwards(e *external, status client.CompletionStatus) {
	if w.random.IntN(2) == 0 { // the repeat of an end is harmless
		_ = w.end(w.c.any(w.random), e, status, false)
	}
	if w.random.IntN(2) == 0 {
		other := statuses()[w.random.IntN(5)]
		if other != status {
			_ = w.end(w.c.any(w.random), e, other, w.random.IntN(2) == 0)
		}
	}
	if w.random.IntN(2) == 0 {
		if err := w.report(w.c.any(w.random), e, "a late heartbeat", client.Report{Attempt: 1}); err == nil {
			w.c.tb.Errorf("task %s: a report was taken after its end", e.id)
		}
	}
}

// complete reports a task complete, a few times where nobody answers. It returns
// whether the server has taken it.
func (w *worker) complete(e *external, status client.CompletionStatus) bool {
	for range 4 {
		switch err := w.end(w.c.any(w.random), e, status, false); {
		case err == nil:
			return true
		case errors.Is(err, client.ErrConflict):
			return false
		}
		harness.Pause(time.Duration(w.random.IntN(1000)) * time.Millisecond)
	}
	return false
}

func (w *worker) clear(e *external, status client.CompletionStatus) {
	for range 3 {
		err := w.end(w.c.any(w.random), e, status, true)
		if no, ok := errors.AsType[*client.Error](err); err == nil || ok && no.Status < 500 {
			return
		}
		harness.Pause(time.Duration(w.random.IntN(500)) * time.Millisecond)
	}
}

// end sends one end of a task, as its executor or as a person.
func (w *worker) end(n *node, e *external, status client.CompletionStatus, clear bool) error {
	e.mu.Lock()
	e.ends = append(e.ends, end{status: status, clear: clear})
	own := len(e.ends) - 1
	e.mu.Unlock()
	var err error
	if clear {
		_, err = n.client.Clear(w.ctx(), e.id, client.ClearRequest{Status: status, Reason: "a test"})
		w.c.journal.note(e.id, "%s clears as %s on node %d: %v", w.name, status, n.number, err)
		w.count(e.clears, e, "clears answered", err)
	} else {
		err = w.report(n, e, "the completion "+string(status), client.Report{Attempt: 1, CompletionStatus: status})
	}
	if err == nil {
		e.mu.Lock()
		e.ends[own].answered = true
		e.mu.Unlock()
	}
	return err
}

func (w *worker) count(of map[bool]int, e *external, what string, err error) {
	e.mu.Lock()
	of[err == nil]++
	e.mu.Unlock()
	if err == nil {
		w.c.journal.add(what, 1)
	}
}

func (w *worker) cancel(e *external) {
	n := w.c.any(w.random)
	_, err := n.client.Cancel(w.ctx(), e.id, "a test")
	w.c.journal.note(e.id, "%s cancels on node %d: %v", w.name, n.number, err)
	w.count(e.cancels, e, "cancels answered", err)
}

// meddle ends a task that somebody else runs.
func (w *worker) meddle(e *external) {
	e.mu.Lock()
	id := e.id
	e.mu.Unlock()
	if id == "" {
		return
	}
	if w.random.IntN(2) == 0 {
		w.cancel(e)
	} else {
		w.clear(e, statuses()[w.random.IntN(5)])
	}
}

// verify holds a task, as it is at the end, against what is known of it.
func (e *external) verify(tb *judge, t *client.Task) {
	step := 0
	if t.Progress != nil {
		if _, err := fmt.Sscanf(*t.Progress, "step %d", &step); err != nil {
			tb.Errorf("task %s: its progress is %q", e.id, *t.Progress)
		}
	}
	if last := slices.Max(append(slices.Collect(maps.Keys(e.answered)), 0)); int64(step) < last || int64(step) > e.sent {
		tb.Errorf("task %s is at step %d; %d was answered, %d was sent", e.id, step, last, e.sent)
	}
	e.verifyMessages(tb, t)
	cancelled := e.cancels[true]+e.cancels[false] > 0
	lost := slices.ContainsFunc(t.History, func(h client.HistoryEntry) bool { return h.Event == "lost" })
	asked := cancelled && t.CompletionStatus == client.Terminated ||
		slices.ContainsFunc(e.ends, func(end end) bool { return end.status == t.CompletionStatus })
	if t.Done() && !lost && !asked {
		tb.Errorf("task %s ended as %s, which nobody has sent", e.id, t.CompletionStatus)
	}
	for _, end := range e.ends {
		if end.answered && t.CompletionStatus != end.status && (end.clear || !cancelled || t.CompletionStatus != client.Terminated) {
			tb.Errorf("task %s is %q; its end as %s (clear: %t) was answered", e.id, t.CompletionStatus, end.status, end.clear)
		}
	}
	if e.cancels[true] > 0 && t.CompletionStatus != client.Terminated && !slices.ContainsFunc(t.History, func(h client.HistoryEntry) bool {
		return h.Event == "cancelRequested"
	}) {
		tb.Errorf("task %s: a cancel was answered, of which nothing is known", e.id)
	}
	e.verifyHistory(tb, t)
}

// verifyMessages: each report that was taken has left its message, once.
func (e *external) verifyMessages(tb *judge, t *client.Task) {
	seen := map[int64]bool{}
	for i := range t.Messages {
		if t.Messages[i].Key != "step" {
			continue
		}
		var n int64
		if _, err := fmt.Sscanf(t.Messages[i].LocalizedText.Message, "step %d", &n); err != nil || seen[n] || n > e.sent {
			tb.Errorf("task %s: the message %q (seen: %t, sent: %d)", e.id, t.Messages[i].LocalizedText.Message, seen[n], e.sent)
		}
		seen[n] = true
	}
	for n := range e.answered {
		if !seen[n] {
			tb.Errorf("task %s: report %d was answered, and its message is not there", e.id, n)
		}
	}
}

// ends are the events that end a task.
func ends() []string { return []string{"completed", "cleared", "cancelled", "lost", "expired"} }

func (e *external) verifyHistory(tb *judge, t *client.Task) {
	count := map[string]int{}
	ended := false
	for i := range t.History {
		h := &t.History[i]
		count[h.Event]++
		if ended && h.Event != "refused" {
			tb.Errorf("task %s: %q in its history after its end", e.id, h.Event)
		}
		if slices.Contains(ends(), h.Event) {
			ended = true
			count["end"]++
		}
		if h.Event != "refused" && h.Attempt != 1 {
			tb.Errorf("task %s: attempt %d in its history", e.id, h.Attempt)
		}
		// Whoever was heard in time is not lost.
		if deadline := e.heard.Add(e.limit); h.Event == "lost" && e.limit > 0 && h.At.Before(deadline.Add(-time.Millisecond)) {
			tb.Errorf("task %s was taken for lost at %s, its deadline was after %s", e.id, h.At, deadline)
		}
	}
	want := 0
	if t.Done() {
		want = 1
	}
	if count["end"] != want || count["launched"] != 1 || len(t.History) == 0 || t.History[0].Event != "launched" || count["started"] > 1 || count["cancelRequested"] > 1 {
		tb.Errorf("task %s (%q): its history has %v", e.id, t.CompletionStatus, count)
	}
}
