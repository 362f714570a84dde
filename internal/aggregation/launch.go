package aggregation

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/source"
	"stint/internal/task"
)

// Launch launches an aggregation: its task is queued when this returns, or has
// ended with ERROR already where the source has one of the same class in
// progress. With a key, the repeat of a launch gets the first one's task. The
// error is of kind NotFound for an unknown source, IllegalValue or Missing for
// what cannot be launched.
func (a *Aggregator) Launch(
	ctx context.Context, l account.Launch, key task.IdempotencyKey, from audit.Origin,
) (task.Launched, error) {
	src, err := a.store.Source(ctx, l.SourceID)
	if err != nil {
		return task.Launched{}, err
	}
	if err := check(&l); err != nil {
		return task.Launched{}, err
	}
	now := task.Millis(a.now())
	id, err := task.NewID(now, rand.Reader)
	if err != nil {
		return task.Launched{}, fmt.Errorf("launch: %w", err)
	}
	asked, err := a.taskOf(&l, &src)
	if err != nil {
		return task.Launched{}, err
	}
	if asked.Launcher == "" {
		asked.Launcher = from.Launcher()
	}
	c, err := task.NewTask(id, asked, from.Actor, now)
	if err != nil {
		return task.Launched{}, err
	}
	run := account.Run{TaskID: id, SourceID: l.SourceID, Class: l.Class, Upload: l.Upload.ID, State: account.State{
		Options: l.Options, Phase: account.Collecting, Columns: l.Upload.Columns, Bytes: l.Upload.Bytes, File: l.Upload.File,
	}}
	if l.Upload.ID == "" {
		run.State.Held, run.State.File = true, src.File
	}
	busy := func(t task.Task, other task.ID) task.Change { return t.ApplyBusy(other, now) }
	t, created, err := a.store.CreateRun(ctx, run, c, busy, key, func(t *task.Task) (audit.Entry, error) {
		after, err := t.MarshalWire()
		return audit.Entry{At: now, Origin: from, Action: audit.Launch, Object: string(t.ID), After: after}, err
	})
	if err != nil {
		return task.Launched{}, err
	}
	return task.Launched{Task: t, Replayed: !created}, nil
}

func check(l *account.Launch) error {
	if l.Class == account.Accounts && l.Upload.ID == "" {
		return task.Errorf(task.IllegalValue, "file",
			"is required: the source is a delimited file, whose accounts come with the launch, as the part \"file\" of a multipart form")
	}
	if l.AllowDeletions < 0 {
		return task.Errorf(task.IllegalValue, "allowDeletions", "%d is not allowed: 0 or more", l.AllowDeletions)
	}
	return nil
}

// taskOf describes the task of a launch.
func (a *Aggregator) taskOf(l *account.Launch, src *source.Source) (task.Launch, error) {
	kind, returns := task.AccountAggregation, accountReturns()
	if l.Class == account.Entitlements {
		kind, returns = task.GroupAggregation, entitlementReturns()
	}
	definition, ok := a.catalog.Lookup(string(kind))
	if !ok {
		return task.Launch{}, fmt.Errorf("launch: no definition of %s", kind)
	}
	arguments, err := json.Marshal(l.Options)
	if err != nil {
		return task.Launch{}, fmt.Errorf("launch: %w", err)
	}
	// Whatever ends the task, what its returns name has a value.
	values, err := attributes(l.Class, &account.State{Options: l.Options}, src.Name)
	if err != nil {
		return task.Launch{}, err
	}
	if values["appId"], err = json.Marshal(src.ID); err != nil {
		return task.Launch{}, fmt.Errorf("launch: %w", err)
	}
	for name, v := range l.Attributes {
		if _, own := values[name]; !own {
			values[name] = v
		}
	}
	return task.Launch{
		Definition: definition, UniqueName: l.UniqueName, Description: l.Description, Launcher: l.Launcher, ParentName: l.ParentName,
		SourceID: string(src.ID), Target: &task.Target{ID: string(src.ID), Type: task.TargetApplication, Name: src.Name},
		Arguments: arguments, Attributes: values, BuiltIn: true, Returns: returns,
	}, nil
}

// The returns: only what is computed. Source: contract, section 8.
func accountReturns() []task.Return {
	const label = "TASK_OUT_ACCOUNT_AGGREGATION_"
	return []task.Return{
		{Name: label + "APPLICATIONS", AttributeName: "applications"},
		{Name: label + "TOTAL", AttributeName: "total"},
		{Name: label + "OPTIMIZED", AttributeName: "optimizedAggregation"},
		{Name: label + "IGNORED", AttributeName: "ignored"},
		{Name: "TASK_OUT_UNCHANGED_ACCOUNTS", AttributeName: "optimized"},
		{Name: label + "CREATED", AttributeName: "created"},
		{Name: label + "UPDATED", AttributeName: "updated"},
		{Name: label + "DELETED", AttributeName: "deleted"},
	}
}

func entitlementReturns() []task.Return {
	const label = "TASK_OUT_ACCOUNT_GROUP_AGGREGATION_"
	return []task.Return{
		{Name: label + "APPLICATIONS", AttributeName: "applications"},
		{Name: label + "TOTAL", AttributeName: "total"},
		{Name: label + "CREATED", AttributeName: "groupsCreated"},
		{Name: label + "UPDATED", AttributeName: "groupsUpdated"},
		{Name: label + "DELETED", AttributeName: "groupsDeleted"},
	}
}

// attributes are what the returns name, as far as the run has come.
func attributes(class account.Class, s *account.State, sourceName string) (map[string]json.RawMessage, error) {
	if class == account.Entitlements {
		return encode(map[string]any{
			"applications": sourceName, "total": s.Total,
			"groupsCreated": s.Created, "groupsUpdated": s.Updated, "groupsDeleted": s.Deleted,
		})
	}
	optimized := "enabled"
	if s.DisableOptimization {
		optimized = "disabled"
	}
	return encode(map[string]any{
		"applications": sourceName, "total": s.Total, "optimizedAggregation": optimized, "ignored": s.Problems,
		"optimized": s.Unchanged, "created": s.Created, "updated": s.Updated, "deleted": s.Deleted,
	})
}

func encode(values map[string]any) (map[string]json.RawMessage, error) {
	encoded := make(map[string]json.RawMessage, len(values))
	for name, v := range values {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", name, err)
		}
		encoded[name] = raw
	}
	return encoded, nil
}
