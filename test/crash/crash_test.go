package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/client"
	"stint/internal/apptest"
)

// record is what a worker knows of one task: what was answered, and what was
// tried beyond that and may or may not have happened.
type record struct {
	id, token string
	answered  int64 // number of the last report that was answered
	tried     int64 // number of the last report that was sent
	ended     client.CompletionStatus
	mayEnd    map[client.CompletionStatus]bool // ends that were sent and not answered
	final     string                           // the body when it was first seen complete
}

// worker launches tasks, reports, completes and clears them, one at a time.
type worker struct {
	name   string
	c      *client.Client
	random *rand.Rand

	mu      sync.Mutex
	records []*record
	writes  int // answered
}

// TestAnsweredWritesSurviveKill kills the server again and again under load.
func TestAnsweredWritesSurviveKill(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 10
	}
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("CRASH_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CRASH_SEED=%d, %d kills", seed, kills)
	s := newServer(t)
	s.start(t)
	ctx, stop := context.WithCancel(t.Context())
	var workers []*worker
	var wg sync.WaitGroup
	for i := range 8 {
		w := &worker{name: fmt.Sprintf("worker-%d", i), c: s.client(t), random: rand.New(rand.NewPCG(seed, uint64(i)))}
		workers = append(workers, w)
		wg.Go(func() { w.run(ctx, t) })
	}
	random := rand.New(rand.NewPCG(seed, 99))
	for range kills {
		pause(time.Duration(5+random.IntN(120)) * time.Millisecond)
		s.kill()
		s.start(t)
		if t.Failed() {
			break
		}
	}
	stop()
	wg.Wait()
	tasks, writes := 0, 0
	for _, w := range workers {
		for _, r := range w.records {
			w.verify(t.Context(), t, r)
		}
		tasks += len(w.records)
		writes += w.writes
	}
	t.Logf("%d tasks, %d answered writes", tasks, writes)
	if writes < kills {
		t.Errorf("only %d writes were answered: the load is no load", writes)
	}
	checkAll(t, s, tasks)
	s.kill()
	checkFile(t, s.db)
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context, t *testing.T) {
	t.Helper()
	for ctx.Err() == nil && !t.Failed() {
		r := w.launch(ctx)
		if r == nil {
			return
		}
		w.mu.Lock()
		w.records = append(w.records, r)
		w.mu.Unlock()
		for range w.random.IntN(6) {
			w.report(ctx, r)
		}
		w.end(ctx, r)
		w.verify(context.WithoutCancel(ctx), t, r)
		if n := len(w.records); n > 1 {
			w.verify(context.WithoutCancel(ctx), t, w.records[w.random.IntN(n-1)])
		}
	}
}

// launch launches until it is answered: the key makes all tries one launch.
func (w *worker) launch(ctx context.Context) *record {
	key := client.NewIdempotencyKey()
	for ctx.Err() == nil {
		launched, err := w.c.Launch(context.WithoutCancel(ctx), client.LaunchRequest{
			Type: "IDENTITY_REFRESH", UniqueName: w.name, Launcher: w.name, SourceID: "source of " + w.name, IdempotencyKey: key,
		})
		if err == nil {
			w.writes++
			return &record{id: launched.ID, token: launched.ReportToken, mayEnd: map[client.CompletionStatus]bool{}}
		}
		pause(5 * time.Millisecond)
	}
	return nil
}

func (w *worker) report(ctx context.Context, r *record) {
	r.tried++
	progress := fmt.Sprintf("step %d", r.tried)
	percent := int(min(99, r.tried))
	_, err := w.c.Report(context.WithoutCancel(ctx), r.id, r.token, client.Report{
		Attempt: 1, Sequence: r.tried, Progress: &progress, PercentComplete: &percent,
		Messages: []client.ReportMessage{{Type: client.MessageInfo, Key: "step", Text: progress}},
	})
	if err == nil {
		r.answered = r.tried
		w.writes++
	}
}

// end completes, clears or leaves a task; what is not answered is sent again
// sometimes, as clients do.
func (w *worker) end(ctx context.Context, r *record) {
	statuses := []client.CompletionStatus{"SUCCESS", "WARNING", "ERROR", "TEMPERROR", "TERMINATED"}
	status := statuses[w.random.IntN(len(statuses))]
	byPerson := w.random.IntN(2) == 0
	if w.random.IntN(8) == 0 {
		return
	}
	for range 1 + w.random.IntN(3) {
		r.mayEnd[status] = true
		var err error
		if byPerson {
			_, err = w.c.Clear(context.WithoutCancel(ctx), r.id, client.ClearRequest{Status: status, Reason: "a test"})
		} else {
			_, err = w.c.Report(context.WithoutCancel(ctx), r.id, r.token, client.Report{Attempt: 1, CompletionStatus: status})
		}
		if err == nil {
			r.ended = status
			w.writes++
			return
		}
		pause(5 * time.Millisecond)
	}
}

// verify holds a task against what the worker knows of it.
func (w *worker) verify(ctx context.Context, t *testing.T, r *record) {
	t.Helper()
	task := w.get(ctx, t, r.id)
	if task == nil {
		return
	}
	if err := checkBody(task.Raw()); err != nil {
		t.Errorf("task %s: %v", r.id, err)
	}
	step := int64(0)
	if task.Progress != nil {
		n, err := strconv.ParseInt(strings.TrimPrefix(*task.Progress, "step "), 10, 64)
		if err != nil {
			t.Errorf("task %s: progress %q", r.id, *task.Progress)
		}
		step = n
	}
	if step < r.answered || step > r.tried {
		t.Errorf("task %s: at step %d; %d was answered, %d was sent", r.id, step, r.answered, r.tried)
	}
	if len(task.Messages) > int(step) || len(task.Messages) < 1 && step > 0 {
		t.Errorf("task %s: %d messages at step %d", r.id, len(task.Messages), step)
	}
	switch {
	case r.ended != "" && task.CompletionStatus != r.ended:
		t.Errorf("task %s: is %q, %s was answered", r.id, task.CompletionStatus, r.ended)
	case task.CompletionStatus != "" && !r.mayEnd[task.CompletionStatus]:
		t.Errorf("task %s: is %s, which nobody sent", r.id, task.CompletionStatus)
	}
	if (task.CompletionStatus == "") != (task.Completed == nil) {
		t.Errorf("task %s: completed %v with status %q", r.id, task.Completed, task.CompletionStatus)
	}
	if len(task.History) == 0 || task.History[0].Event != "launched" {
		t.Errorf("task %s: history %+v", r.id, task.History)
	}
	if task.CompletionStatus == "" {
		return
	}
	body := withoutHistory(t, task)
	if r.final == "" {
		r.final = body
	}
	if body != r.final {
		t.Errorf("the completed task %s changed:\n%s\n%s", r.id, r.final, body)
	}
}

// get reads a task, over as many kills as it takes. It must be there.
func (w *worker) get(ctx context.Context, t *testing.T, id string) *client.Task {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		task, err := w.c.GetTask(ctx, id)
		switch {
		case err == nil:
			return task
		case errors.Is(err, client.ErrNotFound):
			t.Errorf("the launched task %s is lost", id)
			return nil
		case time.Now().After(deadline):
			t.Errorf("get %s: %v", id, err)
			return nil
		}
		pause(5 * time.Millisecond)
	}
}

// checkAll lists everything with every answer held against the contract, and
// compares the counts with what is there.
func checkAll(t *testing.T, s *server, launched int) {
	t.Helper()
	c, err := client.New("http://"+s.addr, client.Options{HTTPClient: apptest.NewClient(t)})
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]int{}
	total := 0
	for task, err := range c.Tasks(t.Context(), client.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		total++
		if task.CompletionStatus == "" {
			counted["completionStatus isnull"]++
		} else {
			counted[fmt.Sprintf("completionStatus eq %q", task.CompletionStatus)]++
		}
		counted[fmt.Sprintf("launcher eq %q", task.Launcher)]++
		counted[fmt.Sprintf("sourceId eq %q", *task.SourceID)]++
	}
	// A launch that was never answered may be there too, once for each worker
	// that was stopped in one.
	if total < launched || total > launched+8 {
		t.Errorf("%d tasks are listed, %d launches were answered", total, launched)
	}
	counted[""] = total
	for filter, want := range counted {
		got, err := c.CountTasks(t.Context(), filter)
		if err != nil || got != want {
			t.Errorf("count of %q: got %d, %v, want %d", filter, got, err, want)
		}
	}
}

// TestTermination: a stop refuses what is new, finishes what is under way, and
// exits 0.
func TestTermination(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start(t)
	c := s.client(t)
	launched, err := c.Launch(t.Context(), client.LaunchRequest{Type: "IDENTITY_REFRESH"})
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- waitOnce(t.Context(), s.addr, launched.ID) }()
	slow := startSlowLaunch(t, s.addr)
	// Nothing tells that a request has arrived; a long poll that has not is
	// refused, and the test says so.
	pause(300 * time.Millisecond)
	exit := s.terminate(t)
	pause(300 * time.Millisecond)
	if got := s.status(t.Context(), "/readyz"); got == http.StatusOK {
		t.Errorf("ready while it stops")
	}
	if got := slow.finish(t); got != http.StatusAccepted {
		t.Errorf("the request under way was answered %d, want 202", got)
	}
	if err := <-waited; err != nil {
		t.Errorf("the wait under way: %v", err)
	}
	select {
	case code := <-exit:
		if code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the server does not stop")
	}
	checkFile(t, s.db)
}

// waitOnce sends one long poll and demands an answer that tells of a task in
// progress.
func waitOnce(ctx context.Context, addr, id string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/stint/v1/tasks/"+id+"/wait?timeout=20", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var task client.Task
	if err := json.NewDecoder(answer.Body).Decode(&task); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || task.Done() {
		return fmt.Errorf("answered %d, %q", answer.StatusCode, task.CompletionStatus)
	}
	return nil
}

// TestSilentTaskEndsAcrossARestart: the limit passes while the server is dead.
func TestSilentTaskEndsAcrossARestart(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start(t)
	c := s.client(t)
	silent := launchAndReport(t, c)
	living := launchAndReport(t, c)
	s.kill()
	s.start(t)
	restarted := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := c.Report(ctx, living.ID, living.ReportToken, client.Report{Attempt: 1}); err != nil && ctx.Err() == nil {
				t.Errorf("the living task: %v", err)
				return
			}
			pause(300 * time.Millisecond)
		}
	})
	task, err := c.Wait(t.Context(), silent.ID, 30*time.Second)
	took := time.Since(restarted)
	cancel()
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if task.CompletionStatus != "TEMPERROR" || took > 16*time.Second {
		t.Errorf("the silent task is %q after %s, want TEMPERROR within 15 s of its limit of 1 s", task.CompletionStatus, took)
	}
	if n := len(task.Messages); n != 1 || !strings.Contains(task.Messages[0].LocalizedText.Message, "heartbeat limit") {
		t.Errorf("messages: %+v", task.Messages)
	}
	if alive, err := c.GetTask(t.Context(), living.ID); err != nil || alive.Done() {
		t.Errorf("the living task: %+v, %v", alive, err)
	}
}

func launchAndReport(t *testing.T, c *client.Client) *client.Launched {
	t.Helper()
	launched, err := c.Launch(t.Context(), client.LaunchRequest{Type: "IDENTITY_REFRESH", HeartbeatLimitSeconds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Report(t.Context(), launched.ID, launched.ReportToken, client.Report{Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	return launched
}
