package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"stint/internal/account"
	"stint/internal/principal"
	"stint/internal/strictjson"
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
	// Executor says who runs the task; where it is empty, what is launched tells.
	Executor string `json:"executor"`
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

// launchTask launches a task from a JSON body, or from a form whose field
// "launch" is that body and whose part "file", after it, is read by the task.
func (a *api) launchTask(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	got, err := a.readLaunch(w, r)
	if err != nil {
		return err
	}
	b, l, err := a.launchOf(got.fields[fieldLaunch])
	if err != nil {
		return a.unused(r.Context(), got, err)
	}
	builtIn, err := a.mayLaunch(r.Context(), b, &l)
	if err != nil {
		return a.unused(r.Context(), got, err)
	}
	var launched task.Launched
	if builtIn {
		launched, err = a.launchBuiltIn(w, r, b, &l, key, got)
	} else {
		launched, err = a.launchExternal(w, r, l, key, got)
	}
	if err != nil {
		return err
	}
	row, err := task.NewRow(&launched.Task)
	if err != nil {
		return err
	}
	extras := extrasOf(row)
	extras.ReportToken = launched.ReportToken
	return writeTask(w, http.StatusAccepted, extras, row.Wire)
}

// fieldLaunch is the field of a form that holds the launch.
const fieldLaunch = "launch"

// readLaunch reads the launch, and the file of one that comes as a form.
func (a *api) readLaunch(w http.ResponseWriter, r *http.Request) (*form, error) {
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "multipart/form-data" {
		body, err := a.readBody(w, r, maxBody, "application/json", "multipart/form-data")
		if err != nil {
			return nil, err
		}
		got := &form{fields: map[string]string{fieldLaunch: string(body)}, sum: sha256.New()}
		got.sum.Write(body)
		return got, nil
	}
	reader := &formReader{api: a, w: w, r: r, known: []string{fieldLaunch}}
	reader.receive = func(ctx context.Context, fields map[string]string, in io.Reader) (account.Upload, error) {
		if fields[fieldLaunch] == "" {
			return account.Upload{}, task.Errorf(task.Missing, fieldLaunch, "is required before the file: it says which source the file is for")
		}
		b, l, err := a.launchOf(fields[fieldLaunch])
		if err != nil {
			return account.Upload{}, err
		}
		builtIn, err := a.mayLaunch(ctx, b, &l)
		if err != nil {
			return account.Upload{}, err
		}
		if !builtIn {
			return account.Upload{}, task.Errorf(task.IllegalValue, "file", "is not allowed: others run this task")
		}
		id, _ := task.ParseID(l.SourceID)
		return a.aggregations.Receive(ctx, id, classOf(l.Definition.Kind), in)
	}
	got, err := reader.read(r.Context())
	if err == nil && got.fields[fieldLaunch] == "" {
		return nil, task.Errorf(task.Missing, fieldLaunch, "is required: the field of the form that holds the launch, as JSON")
	}
	return got, err
}

// launchOf reads a launch.
func (a *api) launchOf(body string) (*launchBody, task.Launch, error) {
	var b launchBody
	if err := strictjson.Unmarshal([]byte(body), &b); err != nil {
		return nil, task.Launch{}, err
	}
	l, err := b.launch(a.catalog)
	if err == nil && l.Target != nil && l.Target.Type == task.TargetApplication {
		if l.SourceID == "" {
			l.SourceID = l.Target.ID
		}
		// Rights and filters go by the one, people by the other.
		if !sameSource(l.SourceID, l.Target.ID) {
			err = task.Errorf(task.IllegalValue, "target.id", "%q is another source than sourceId, %q",
				task.Abbreviate(l.Target.ID), task.Abbreviate(l.SourceID))
		}
	}
	return &b, l, err
}

// sameSource reports whether two texts name the same source.
func sameSource(a, b string) bool {
	one, isID := task.ParseID(a)
	other, isIDToo := task.ParseID(b)
	return isID && isIDToo && one == other || task.EqualFoldASCII(a, b)
}

// classOf returns what an aggregation of a kind aggregates; 0 for other kinds.
func classOf(kind task.Kind) account.Class {
	if kind == task.AccountAggregation {
		return account.Accounts
	}
	if kind == task.GroupAggregation {
		return account.Entitlements
	}
	return 0
}

// mayLaunch tells whether Stint runs a task itself, and refuses a caller that may
// not launch it.
func (a *api) mayLaunch(ctx context.Context, b *launchBody, l *task.Launch) (bool, error) {
	// One of Stint's own sources is known by one spelling of its id, whoever runs the
	// task.
	if id, ok := task.ParseID(l.SourceID); ok && string(id) != l.SourceID {
		if _, err := a.sources.Source(ctx, id); err == nil {
			l.SourceID = string(id)
		}
	}
	builtIn, err := a.runsItself(ctx, b, l)
	if err != nil {
		return false, err
	}
	right := runTasks()
	switch {
	case builtIn && classOf(l.Definition.Kind) == account.Accounts:
		right = loadAccounts()
	case builtIn:
		right = loadEntitlements()
	}
	return builtIn, alsoNeeds(ctx, right, l.SourceID)
}

// runsItself tells whether Stint runs a task itself: where the launch says so,
// or says nothing and is an aggregation of one of Stint's sources.
func (a *api) runsItself(ctx context.Context, b *launchBody, l *task.Launch) (bool, error) {
	switch b.Executor {
	case task.ExecutorExternal:
		return false, nil
	case "", task.ExecutorBuiltIn:
	default:
		return false, task.Errorf(task.IllegalValue, "executor", "%q is not allowed: %s or %s",
			task.Abbreviate(b.Executor), task.ExecutorBuiltIn, task.ExecutorExternal)
	}
	if classOf(l.Definition.Kind) == 0 {
		if b.Executor != "" {
			return false, task.Errorf(task.IllegalValue, "executor", "Stint itself runs %s and %s only; others run %s and report it",
				task.AccountAggregation, task.GroupAggregation, l.Definition.Kind)
		}
		return false, nil
	}
	id, ok := task.ParseID(l.SourceID)
	if !ok {
		id = task.ID(l.SourceID)
	}
	_, err := a.sources.Source(ctx, id)
	if task.KindOf(err) == task.NotFound {
		if b.Executor == "" {
			return false, nil
		}
		return false, task.Errorf(task.IllegalValue, "sourceId", "%q is not the id of a source", task.Abbreviate(l.SourceID))
	}
	return err == nil, err
}

// launchBuiltIn launches a task that Stint runs itself.
func (a *api) launchBuiltIn(
	w http.ResponseWriter, r *http.Request, b *launchBody, l *task.Launch, key task.IdempotencyKey, got *form,
) (task.Launched, error) {
	id, _ := task.ParseID(l.SourceID)
	run := account.Launch{
		SourceID: id, Class: classOf(l.Definition.Kind), Upload: got.upload,
		UniqueName: l.UniqueName, Description: l.Description, Launcher: l.Launcher, ParentName: l.ParentName, Attributes: l.Attributes,
	}
	if b.HeartbeatLimitSeconds != nil {
		return task.Launched{}, a.unused(r.Context(), got, task.Errorf(task.IllegalValue, "heartbeatLimitSeconds", "is for tasks that others run"))
	}
	if l.Arguments != nil {
		if err := strictjson.Unmarshal(l.Arguments, &run.Options); err != nil {
			return task.Launched{}, a.unused(r.Context(), got, err)
		}
	}
	return a.launchRun(w, r, run, key, got)
}

// launchExternal launches a task that others run.
func (a *api) launchExternal(
	w http.ResponseWriter, r *http.Request, l task.Launch, key task.IdempotencyKey, got *form,
) (task.Launched, error) {
	if key.Key != "" {
		key.Fingerprint = got.sum.Sum(nil)
	}
	launched, err := a.tasks.Launch(r.Context(), l, key, origin(r))
	if err != nil {
		return launched, err
	}
	setLaunched(w, &launched)
	return launched, nil
}

func setLaunched(w http.ResponseWriter, l *task.Launched) {
	w.Header().Set("Location", "/stint/v1/tasks/"+string(l.Task.ID))
	if l.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
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
	named := task.IdempotencyKey{Key: key}
	if p := principal.Of(r.Context()); p != nil {
		named.Client = p.Client
	}
	return named, nil
}
