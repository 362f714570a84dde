package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"

	"stint/internal/task"
)

// reportBody is the body of a report.
type reportBody struct {
	Attempt          *whole                     `json:"attempt"`
	Sequence         *whole                     `json:"sequence"`
	Progress         *string                    `json:"progress"`
	PercentComplete  *whole                     `json:"percentComplete"`
	Messages         []messageBody              `json:"messages"`
	Attributes       map[string]json.RawMessage `json:"attributes"`
	Returns          []task.Return              `json:"returns"`
	CompletionStatus *string                    `json:"completionStatus"`
}

type messageBody struct {
	Type          task.MessageType  `json:"type"`
	Key           string            `json:"key"`
	Text          *string           `json:"text"`
	LocalizedText *localizedText    `json:"localizedText"`
	Parameters    []json.RawMessage `json:"parameters"`
}

type localizedText struct {
	Locale  string `json:"locale"`
	Message string `json:"message"`
}

func (b *reportBody) report() (task.Report, error) {
	rep := task.Report{
		Progress: b.Progress, Attributes: b.Attributes, Returns: b.Returns,
	}
	if b.Attempt == nil {
		return rep, task.Errorf(task.Missing, "attempt", "is required: the attempt that the launch answered with")
	}
	rep.Attempt = int(*b.Attempt)
	if b.PercentComplete != nil {
		percent := int(*b.PercentComplete)
		rep.PercentComplete = &percent
	}
	if b.Sequence != nil {
		if *b.Sequence < 1 {
			return rep, task.Errorf(task.IllegalValue, "sequence", "%d is not allowed: 1 or more", *b.Sequence)
		}
		rep.Sequence = int64(*b.Sequence)
	}
	for i, m := range b.Messages {
		message := task.Message{Type: m.Type, Key: m.Key, Locale: "en", Parameters: m.Parameters}
		switch {
		case (m.Text == nil) == (m.LocalizedText == nil):
			return rep, task.Errorf(task.Missing, fmt.Sprintf("messages/%d", i), "one of text and localizedText is required")
		case m.Text != nil:
			message.Text = *m.Text
		default:
			message.Text = m.LocalizedText.Message
			if m.LocalizedText.Locale != "" {
				message.Locale = m.LocalizedText.Locale
			}
		}
		rep.Messages = append(rep.Messages, message)
	}
	if b.CompletionStatus != nil {
		status, ok := task.ParseCompletionStatus(*b.CompletionStatus)
		if !ok {
			return rep, task.Errorf(task.IllegalValue, "completionStatus", "%q is not allowed: %s", task.Abbreviate(*b.CompletionStatus), task.StatusList())
		}
		rep.Completion = status
	}
	return rep, rep.Validate()
}

// reportAnswer tells the executor where its task stands.
type reportAnswer struct {
	ID               task.ID                `json:"id"`
	Attempt          int                    `json:"attempt"`
	State            task.State             `json:"state"`
	Stop             bool                   `json:"stop"`
	Reason           *string                `json:"reason"`
	CompletionStatus *task.CompletionStatus `json:"completionStatus"`
}

func (a *api) reportTask(w http.ResponseWriter, r *http.Request) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	var b reportBody
	if err := a.readJSON(w, r, &b); err != nil {
		return err
	}
	rep, err := b.report()
	if err != nil {
		return err
	}
	t, err := a.tasks.Report(r.Context(), id, r.Header.Get("Stint-Report-Token"), rep)
	if err != nil {
		return err
	}
	answer := reportAnswer{ID: t.ID, Attempt: t.Attempt, State: t.State()}
	if stop, why := t.ShouldStop(); stop {
		answer.Stop, answer.Reason = true, &why
	}
	if t.Status != task.InProgress {
		answer.CompletionStatus = &t.Status
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("render the answer to a report: %w", err)
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}
