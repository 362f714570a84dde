package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"stint/internal/strictjson"
	"stint/internal/task"
)

const (
	defaultCleared = 250
	maxCleared     = 1000
)

// clearBody asks to clear all tasks in progress that a filter selects.
type clearBody struct {
	Filters          string  `json:"filters"`
	CompletionStatus string  `json:"completionStatus"`
	Completed        *string `json:"completed"`
	Reason           string  `json:"reason"`
	Limit            *whole  `json:"limit"`
	DryRun           bool    `json:"dryRun"`
}

// clearAnswer says what became of them.
type clearAnswer struct {
	DryRun  bool          `json:"dryRun"`
	Matched int64         `json:"matched"`
	Cleared int           `json:"cleared"`
	More    bool          `json:"more"`
	Tasks   []clearedTask `json:"tasks"`
}

type clearedTask struct {
	ID         task.ID    `json:"id"`
	Kind       task.Kind  `json:"kind"`
	UniqueName string     `json:"uniqueName"`
	Launcher   string     `json:"launcher"`
	SourceID   *string    `json:"sourceId"`
	Created    string     `json:"created"`
	State      task.State `json:"state"`
	Outcome    string     `json:"outcome"`
	Message    *string    `json:"message"`
}

// The outcomes of a clear of many.
const (
	outcomeWould   = "wouldClear"
	outcomeCleared = "cleared"
	outcomeChanged = "changed"
	outcomeRefused = "refused"
)

func (a *api) clearTasks(w http.ResponseWriter, r *http.Request) error {
	body, err := a.readBody(w, r, maxBody, "application/json")
	if err != nil {
		return err
	}
	var b clearBody
	if err := strictjson.Unmarshal(body, &b); err != nil {
		return err
	}
	many, err := b.check(a.now())
	if err != nil {
		return err
	}
	if strings.TrimSpace(b.Filters) == "" {
		return task.Errorf(task.Missing, "/filters", "is required: which tasks? All that are in progress are completionStatus isnull")
	}
	filter, err := a.richer.ParseFilter(b.Filters)
	if err != nil {
		return err
	}
	many.May, many.Words = onSources(r.Context()), string(body)
	matched, all, err := a.tasks.ClearMany(r.Context(), filter, many, origin(r))
	if err != nil {
		return err
	}
	answer := clearAnswer{DryRun: b.DryRun, Matched: matched, More: matched > int64(len(all)), Tasks: make([]clearedTask, len(all))}
	for i := range all {
		answer.Tasks[i] = becameOf(&all[i], b.DryRun)
		if answer.Tasks[i].Outcome == outcomeCleared {
			answer.Cleared++
		}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("render what was cleared: %w", err)
	}
	writeJSON(w, http.StatusOK, text)
	return nil
}

// check reads what the body asks for, but for the filter. A dry run need not say yet
// how they end, and why.
func (b *clearBody) check(now time.Time) (task.ClearMany, error) {
	many := task.ClearMany{Limit: defaultCleared, DryRun: b.DryRun, Clear: task.Clear{Reason: b.Reason}}
	if b.Limit != nil {
		if *b.Limit < 1 || *b.Limit > maxCleared {
			return many, task.Errorf(task.IllegalValue, "/limit", "%d is not allowed: 1 to %d", *b.Limit, maxCleared)
		}
		many.Limit = int(*b.Limit)
	}
	if b.CompletionStatus != "" || !b.DryRun {
		status, ok := task.ParseCompletionStatus(b.CompletionStatus)
		switch {
		case b.CompletionStatus == "":
			return many, task.Errorf(task.Missing, "/completionStatus", "is required: how did they end? %s", task.StatusList())
		case !ok:
			return many, task.Errorf(task.IllegalValue, "/completionStatus", "%q is not allowed: %s", task.Abbreviate(b.CompletionStatus), task.StatusList())
		}
		many.Clear.Status = status
	}
	if b.Completed != nil {
		at, ok := task.ParseTime(*b.Completed)
		if !ok {
			return many, task.Errorf(task.IllegalValue, "/completed", "%q is not a time: RFC 3339 like 2026-11-24T23:40:50.123Z", task.Abbreviate(*b.Completed))
		}
		many.Clear.Completed = at
		if err := many.Clear.Check(now); err != nil {
			return many, err
		}
	}
	if strings.TrimSpace(b.Reason) == "" && !b.DryRun {
		return many, task.Errorf(task.Missing, "/reason", "is required: why? It is kept in the audit")
	}
	return many, checkReason("/reason", b.Reason)
}

func becameOf(one *task.Cleared, dryRun bool) clearedTask {
	t := clearedTask{
		ID: one.Row.ID, Kind: one.Row.Kind, UniqueName: one.UniqueName, Launcher: one.Launcher,
		Created: task.FormatTime(one.Row.Created), State: one.Row.State, Outcome: outcomeCleared,
	}
	if one.Row.SourceID != "" {
		t.SourceID = &one.Row.SourceID
	}
	message := ""
	switch {
	case one.Err != nil:
		t.Outcome, message = outcomeRefused, "it could not be cleared"
		if e, ok := errors.AsType[*task.Error](one.Err); ok {
			message = e.Text()
		}
	case one.Changed:
		t.Outcome, message = outcomeChanged, "it had ended, or was no longer one of them, when its turn came"
	case dryRun:
		t.Outcome = outcomeWould
	}
	if message != "" {
		t.Message = &message
	}
	return t
}
