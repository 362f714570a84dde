package task

import (
	"encoding/json"
	"time"
)

// Launch says what to launch. Empty fields take the definition's defaults.
type Launch struct {
	Definition     Definition
	UniqueName     string
	Description    string
	ParentName     *string
	Launcher       string
	SourceID       string
	Target         *Target
	Arguments      json.RawMessage // an object; nil is an empty one
	Attributes     map[string]json.RawMessage
	HeartbeatLimit time.Duration
	// BuiltIn is set where Stint itself runs the task; Returns are what it will
	// hand back.
	BuiltIn bool
	Returns []Return
}

// DefaultLauncher is who launched a task whose launch does not say.
const DefaultLauncher = "System"

// NewTask makes the queued task of a launch by actor. The error is an Error of
// kind IllegalValue or Missing that names the member.
func NewTask(id ID, l Launch, actor string, now time.Time) (Change, error) {
	if err := l.validate(); err != nil {
		return Change{}, err
	}
	now = Millis(now)
	t := Task{
		ID: id, Type: QueuedTask, Kind: l.Definition.Kind, SourceID: l.SourceID,
		UniqueName:  or(l.UniqueName, l.Definition.DisplayName),
		Description: or(l.Description, l.Definition.Description),
		ParentName:  l.ParentName, Launcher: or(l.Launcher, DefaultLauncher),
		Created: now, Modified: now, Target: l.Target, Attributes: l.Attributes,
		Attempt: 1, HeartbeatLimit: l.HeartbeatLimit, Returns: l.Returns,
		Definition: &Summary{
			ID: l.Definition.ID(), UniqueName: l.Definition.DisplayName, Description: l.Definition.Description,
			ParentName: l.Definition.DisplayName, Executor: l.Definition.Executor, Arguments: l.Arguments,
		},
	}
	if t.Definition.Arguments == nil {
		t.Definition.Arguments = json.RawMessage("{}")
	}
	if l.BuiltIn {
		t.BuiltIn, t.Type, t.Definition.Executor = true, Quartz, ExecutorBuiltIn
	} else if t.HeartbeatLimit == 0 {
		t.HeartbeatLimit = DefaultHeartbeatLimit
	}
	if t.SourceID == "" && t.Target != nil && t.Target.Type == TargetApplication {
		t.SourceID = t.Target.ID
	}
	c := changed(t)
	c.add(now, EventLaunched, actor, "launcher %s", t.Launcher)
	return c, nil
}

func (l *Launch) validate() error {
	err := firstError(
		checkText("uniqueName", l.UniqueName, maxName),
		checkText("description", l.Description, maxText),
		checkText("launcher", l.Launcher, maxLauncher),
		checkText("sourceId", l.SourceID, maxName),
		checkAttributes(l.Attributes),
		checkSize("arguments", len(l.Arguments)),
	)
	if err == nil && l.ParentName != nil {
		err = checkText("parentName", *l.ParentName, maxName)
	}
	if err == nil && l.Target != nil {
		err = l.Target.validate()
	}
	if err != nil {
		return err
	}
	if l.HeartbeatLimit < 0 || l.HeartbeatLimit > MaxHeartbeatLimit {
		return Errorf(IllegalValue, "heartbeatLimitSeconds", "%d is not allowed: 1 to %d",
			int64(l.HeartbeatLimit/time.Second), int64(MaxHeartbeatLimit/time.Second))
	}
	return nil
}

func (t *Target) validate() error {
	if t.ID == "" {
		return Errorf(Missing, "target.id", "is required")
	}
	if t.Type != "" && t.Type != TargetApplication && t.Type != TargetIdentity {
		return Errorf(IllegalValue, "target.type", "%q is not allowed: APPLICATION, IDENTITY or null", t.Type)
	}
	return firstError(checkText("target.id", t.ID, maxName), checkText("target.name", t.Name, maxName))
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Launched is the answer to a launch.
type Launched struct {
	Task Task
	// ReportToken lets its holder report for this task, and nothing else.
	ReportToken string
	// Replayed is set where an earlier launch with the same key made the task.
	Replayed bool
}
