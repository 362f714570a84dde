package harness

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"stint/client"
)

// The two sorts of what a source has.
const (
	Accounts     = "accounts"
	Entitlements = "entitlements"
)

// Launched is an aggregation whose launch was answered.
type Launched struct {
	ID    string
	Class string // Accounts or Entitlements
	// Ended is how a person ended it and was answered; empty where nobody did. Event
	// is what the history calls that.
	Ended client.CompletionStatus
	Event string
}

// Keeper keeps one source: it aggregates one file after the other, and knows what
// must be stored.
type Keeper struct {
	// Client returns whom to ask next. It must not try again by itself.
	Client func() *client.Client
	Random *rand.Rand
	Seed   uint64
	Rows   int
	ByFile bool // entitlements come in files, and there are no accounts
	// Patience is how long a request may go unanswered, and Longest how long a task
	// may take.
	Patience, Longest time.Duration
	// Pace is how long it waits between two tries.
	Pace time.Duration
	// Sending hears that a part of a file was sent, Answered of each launch that was
	// answered.
	Sending  func()
	Answered func(*Launched)

	ID     string           // of the source
	Stored map[string]State // by class
	Tasks  []*Launched
	Halves int // ended by a person after they had changed something
}

// NewKeeper returns a keeper of a source that CreateSource will make.
func NewKeeper(c func() *client.Client, seed, number uint64, rows int) *Keeper {
	return &Keeper{
		Client: c, Random: rand.New(rand.NewPCG(seed, number)), Seed: seed + number, Rows: rows,
		Patience: time.Minute, Longest: 3 * time.Minute, Pace: 5 * time.Millisecond, Sending: func() {}, Answered: func(*Launched) {},
		Stored: map[string]State{Accounts: {}, Entitlements: {}},
	}
}

// CreateSource makes the source.
func (k *Keeper) CreateSource(tb testing.TB, name string) {
	tb.Helper()
	attributes := client.ConnectorAttributes{AccountID: "id", DisplayName: "name", Entitlements: []string{"groups"}}
	k.UntilAnswered(tb, "create the source "+name, func() error {
		c := k.Client()
		source, err := c.CreateSource(tb.Context(), client.NewSource{Name: name, Type: client.DelimitedFile, ConnectorAttributes: attributes})
		if errors.Is(err, client.ErrConflict) { // an earlier try did it, and its answer was lost
			source, err = c.SourceByName(tb.Context(), name)
		}
		if err == nil {
			k.ID = source.ID
		}
		return err
	})
}

// Run aggregates until over says so. What it has begun it finishes.
func (k *Keeper) Run(tb testing.TB, over func() bool) {
	tb.Helper()
	for n := 0; !over() && !tb.Failed(); n++ {
		a, text, f := k.Draw(tb, n == 0)
		k.Aggregate(tb, a, text, f)
		if !k.ByFile && k.Random.IntN(2) == 0 {
			k.Aggregate(tb, client.Aggregation{SourceID: k.ID, Entitlements: true}, nil, Held(tb, k.Stored[Accounts]))
		}
	}
}

// Draw makes the next file, and what is to be launched with it.
func (k *Keeper) Draw(tb testing.TB, first bool) (a client.Aggregation, text []byte, f File) {
	tb.Helper()
	gone := k.Random.IntN(80)
	if k.Random.IntN(6) == 0 {
		gone = 200 // more than may go unasked
	}
	a = client.Aggregation{SourceID: k.ID, DisableOptimization: !first && k.Random.IntN(8) == 0}
	if k.Random.IntN(2) == 0 {
		a.AllowDeletions = int64(k.Rows / 2)
	}
	if k.ByFile {
		a.Entitlements = true
		text = EntitlementsFile(k.Random, k.Rows, gone)
		return a, text, ReadFile(tb, text, EntitlementOf)
	}
	text = AccountsFile(tb, k.Random, k.Seed, k.Rows, gone)
	return a, text, ReadFile(tb, text, AccountOf)
}

// Aggregate launches one aggregation, ends it by hand perhaps, waits for its end,
// and checks what became of it.
func (k *Keeper) Aggregate(tb testing.TB, a client.Aggregation, text []byte, f File) {
	tb.Helper()
	byHand := k.Random.IntN(2) == 0
	if byHand {
		a.DisableOptimization = false // so that what is stored tells what was done
	}
	task := k.Begin(tb, a, text)
	if task == nil {
		return
	}
	want := k.Stored[task.Class].Work(f, int(a.AllowDeletions), a.DisableOptimization)
	if byHand {
		k.endByHand(tb, task)
	}
	k.Finish(tb, task, want)
}

// Begin launches an aggregation until it is answered: the key makes all tries one
// launch. It returns nil where that failed.
func (k *Keeper) Begin(tb testing.TB, a client.Aggregation, text []byte) *Launched {
	tb.Helper()
	task := &Launched{Class: Accounts}
	if a.Entitlements {
		task.Class = Entitlements
	}
	a.IdempotencyKey = client.NewIdempotencyKey()
	k.UntilAnswered(tb, "launch", func() error {
		if text != nil {
			a.File = bytes.NewReader(text)
			a.Sent = func(sent, _ int64) {
				if sent > 0 {
					k.Sending()
				}
			}
		}
		got, err := k.Client().Aggregate(tb.Context(), a)
		if err == nil {
			task.ID = got.ID
		}
		return err
	})
	if task.ID == "" {
		return nil
	}
	k.Tasks = append(k.Tasks, task)
	k.Answered(task)
	return task
}

// Finish waits for the end of a task and checks what became of it. What is stored
// then is what the next one begins with.
func (k *Keeper) Finish(tb testing.TB, task *Launched, want Outcome) {
	tb.Helper()
	if k.Settle(tb, task, want) && k.Random.IntN(4) == 0 {
		k.VerifyStored(tb, task.Class)
	}
}

// Settle is Finish for an aggregation that another one may have followed: what is
// stored is not looked at. It reports whether the aggregation ran to its end.
func (k *Keeper) Settle(tb testing.TB, task *Launched, want Outcome) bool {
	tb.Helper()
	done := k.Wait(tb, task.ID)
	if done == nil {
		return false
	}
	if task.Ended != "" {
		k.verifyHalf(tb, task, done, want)
		return false
	}
	k.Stored[task.Class] = want.Next
	VerifyOutcome(tb, task, done, want)
	k.VerifyChanges(tb, task, want.Changes)
	return true
}

// UntilAnswered asks again until the server says anything. What it refuses is the
// test's fault or its own.
func (k *Keeper) UntilAnswered(tb testing.TB, doing string, ask func() error) {
	tb.Helper()
	deadline := time.Now().Add(k.Patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if no, ok := errors.AsType[*client.Error](err); ok && no.Status < 500 || time.Now().After(deadline) {
			tb.Errorf("%s: %v", doing, err)
			return
		}
		Pause(k.Pace)
	}
}

// endByHand cancels or clears a task at some moment, and remembers the answer.
func (k *Keeper) endByHand(tb testing.TB, task *Launched) {
	tb.Helper()
	if Pause(time.Duration(k.Random.IntN(500)) * time.Millisecond); k.Random.IntN(2) == 0 {
		phase := Phases()[2+min(1, k.Random.IntN(4)/3)] // there are fewer deletions
		AwaitPhase(tb, k.Client, k.Pace, fmt.Sprintf("id eq %q", task.ID), phase, 20*time.Second)
	}
	status, event := client.Terminated, "cancelled"
	ask := func() error {
		_, err := k.Client().Cancel(tb.Context(), task.ID, "a test")
		return err
	}
	if k.Random.IntN(2) == 0 {
		status, event = client.Failure, "cleared"
		ask = func() error {
			_, err := k.Client().Clear(tb.Context(), task.ID, client.ClearRequest{Status: status, Reason: "a test"})
			return err
		}
	}
	k.UntilAnswered(tb, event, func() error {
		err := ask()
		if no, ok := errors.AsType[*client.Error](err); ok && no.Status < 500 {
			return nil // it had ended: the rest is checked as if nobody had asked
		}
		if err == nil {
			task.Ended, task.Event = status, event
		}
		return err
	})
}

// Wait returns a task once it is complete, over as many faults as it takes.
func (k *Keeper) Wait(tb testing.TB, id string) *client.Task {
	tb.Helper()
	deadline := time.Now().Add(k.Longest)
	for time.Now().Before(deadline) {
		task, err := k.Client().Wait(tb.Context(), id, 5*time.Second)
		if err == nil && task.Done() {
			return task
		}
		if errors.Is(err, client.ErrNotFound) {
			tb.Errorf("the launched task %s is lost", id)
			return nil
		}
		Pause(k.Pace)
	}
	tb.Errorf("task %s does not end", id)
	return nil
}

// Phases returns how the progress of a task begins in each phase.
func Phases() []string { return []string{"Scanned", "Comparing", "Recorded", "Deleted"} }

// AwaitPhase waits until a task has done something in a phase, but not for ever,
// nor for one that has ended.
func AwaitPhase(tb testing.TB, c func() *client.Client, pace time.Duration, which, phase string, longest time.Duration) {
	tb.Helper()
	filter := "completionStatus isnull"
	if which != "" {
		filter += " and " + which
	}
	deadline := time.Now().Add(longest)
	for time.Now().Before(deadline) {
		page, err := c().ListTasks(tb.Context(), client.ListOptions{Filter: filter, Limit: 20})
		if err == nil && which != "" && len(page.Tasks) == 0 {
			return
		}
		for i := range page.Tasks {
			if p := page.Tasks[i].Progress; p != nil && strings.HasPrefix(*p, phase) && !strings.HasPrefix(*p, phase+" 0 of") {
				return
			}
		}
		Pause(pace)
	}
}

// Pause waits a moment between two tries of what cannot be waited for.
func Pause(d time.Duration) { <-time.After(d) }
