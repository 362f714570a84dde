package httpapi

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"stint/internal/task"
)

// launchBody is the body of a launch.
type launchBody struct {
	Type                  string                     `json:"type"`
	UniqueName            string                     `json:"uniqueName"`
	Description           string                     `json:"description"`
	ParentName            *string                    `json:"parentName"`
	Launcher              string                     `json:"launcher"`
	SourceID              string                     `json:"sourceId"`
	Target                *targetBody                `json:"target"`
	Arguments             json.RawMessage            `json:"arguments"`
	Attributes            map[string]json.RawMessage `json:"attributes"`
	HeartbeatLimitSeconds *whole                     `json:"heartbeatLimitSeconds"`
}

type targetBody struct {
	ID   string  `json:"id"`
	Type *string `json:"type"`
	Name string  `json:"name"`
}

// launch checks the body against the known definitions.
func (b *launchBody) launch(catalog *task.Catalog) (task.Launch, error) {
	l := task.Launch{
		UniqueName: b.UniqueName, Description: b.Description, ParentName: b.ParentName, Launcher: b.Launcher,
		SourceID: b.SourceID, Attributes: b.Attributes,
	}
	if b.Type == "" {
		return l, task.Errorf(task.Missing, "type", "is required: %s", strings.Join(catalog.Kinds(), ", "))
	}
	var known bool
	if l.Definition, known = catalog.Lookup(b.Type); !known {
		return l, task.Errorf(task.IllegalValue, "type", "%q is not a known type: %s", task.Abbreviate(b.Type), strings.Join(catalog.Kinds(), ", "))
	}
	if b.Target != nil {
		l.Target = &task.Target{ID: b.Target.ID, Name: b.Target.Name}
		if b.Target.Type != nil {
			l.Target.Type = *b.Target.Type
		}
	}
	if b.Arguments != nil && string(b.Arguments) != "null" {
		if b.Arguments[0] != '{' {
			return l, task.Errorf(task.IllegalValue, "arguments", "%s is not allowed: an object is expected", task.Abbreviate(string(b.Arguments)))
		}
		l.Arguments = b.Arguments
	}
	if s := b.HeartbeatLimitSeconds; s != nil {
		longest := whole(task.MaxHeartbeatLimit / time.Second)
		if *s < 1 || *s > longest {
			return l, task.Errorf(task.IllegalValue, "heartbeatLimitSeconds", "%d is not allowed: 1 to %d", *s, longest)
		}
		l.HeartbeatLimit = time.Duration(*s) * time.Second
	}
	return l, nil
}

func (a *api) launchTask(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var b launchBody
	body, err := a.readJSON(w, r, &b)
	if err != nil {
		return err
	}
	l, err := b.launch(a.catalog)
	if err != nil {
		return err
	}
	if key.Key != "" {
		sum := sha256.Sum256(body)
		key.Fingerprint = sum[:]
	}
	launched, err := a.tasks.Launch(r.Context(), l, key, origin(r))
	if err != nil {
		return err
	}
	row, err := task.NewRow(&launched.Task)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/stint/v1/tasks/"+string(launched.Task.ID))
	if launched.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	extras := extrasOf(row)
	extras.ReportToken = launched.ReportToken
	return writeTask(w, http.StatusAccepted, extras, row.Wire)
}

func idempotencyKey(r *http.Request) (task.IdempotencyKey, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return task.IdempotencyKey{}, nil
	}
	key := values[0]
	if len(values) > 1 || len(key) < 1 || len(key) > 255 || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
		return task.IdempotencyKey{}, task.Errorf(task.IllegalValue, "Idempotency-Key",
			"%q is not allowed: one text of 1 to 255 printable ASCII characters", task.Abbreviate(strings.Join(values, ", ")))
	}
	return task.IdempotencyKey{Key: key}, nil
}
