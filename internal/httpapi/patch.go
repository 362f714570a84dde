package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	strict "github.com/go-json-experiment/json"

	"stint/internal/strictjson"
	"stint/internal/task"
)

const (
	maxOperations = 100
	// maxCopied bounds what copy operations may add up to: each can double the
	// document.
	maxCopied = 1 << 20

	statusPath    = "/completionStatus"
	completedPath = "/completed"
)

// operation is one operation of a JSON Patch (RFC 6902). Members it does not
// define are ignored, as the RFC demands.
type operation struct {
	Op    *string         `json:"op"`
	Path  *string         `json:"path"`
	From  *string         `json:"from"`
	Value json.RawMessage `json:"value"`
}

// patch is a checked JSON Patch.
type patch struct {
	ops []operation
	all jsonpatch.Patch
	// changes are the operations other than test.
	changes jsonpatch.Patch
}

// parsePatch reads a JSON Patch: an array of 1 to 100 operations.
func parsePatch(body []byte) (*patch, error) {
	if err := strictjson.Check(body); err != nil {
		return nil, err
	}
	p := &patch{}
	if trimmed := bytes.TrimSpace(body); trimmed[0] != '[' {
		return nil, task.Errorf(task.Content, "body", "a JSON Patch is an array of operations (RFC 6902)")
	}
	if err := strict.Unmarshal(body, &p.ops); err != nil {
		return nil, &task.Error{
			Kind: task.Content, Field: "body", Err: err,
			Msg: "an operation is an object with the texts op and path, and from or value (RFC 6902)",
		}
	}
	if n := len(p.ops); n < 1 || n > maxOperations {
		return nil, task.Errorf(task.Content, "body", "%d operations are not allowed: 1 to %d", n, maxOperations)
	}
	for i := range p.ops {
		if err := p.ops[i].check(i); err != nil {
			return nil, err
		}
	}
	all, err := jsonpatch.DecodePatch(body)
	if err != nil {
		return nil, &task.Error{Kind: task.Content, Field: "body", Msg: "is not a JSON Patch (RFC 6902)", Err: err}
	}
	for i, op := range p.ops {
		if *op.Op != "test" {
			p.changes = append(p.changes, all[i])
		} else if string(op.Value) == "null" && *op.Path != "" {
			p.all = append(p.all, demandPresent(*op.Path))
		}
		p.all = append(p.all, all[i])
	}
	return p, nil
}

// demandPresent makes an operation that changes nothing and fails where nothing
// stands at a path: the library takes what is missing for null, the RFC does
// not.
func demandPresent(path string) jsonpatch.Operation {
	kind := json.RawMessage(`"move"`)
	pointer, _ := json.Marshal(path) //nolint:errchkjson // a string always encodes
	quoted := json.RawMessage(pointer)
	return jsonpatch.Operation{"op": &kind, "from": &quoted, "path": &quoted}
}

func (o *operation) check(i int) error {
	at := func(member string) string { return fmt.Sprintf("/%d/%s", i, member) }
	if o.Op == nil {
		return task.Errorf(task.Missing, at("op"), "is required")
	}
	needsValue, needsFrom := false, false
	switch *o.Op {
	case "add", "replace", "test":
		needsValue = true
	case "move", "copy":
		needsFrom = true
	case "remove":
	default:
		return task.Errorf(task.IllegalValue, at("op"), "%q is not allowed: add, remove, replace, move, copy or test", *o.Op)
	}
	if o.Path == nil {
		return task.Errorf(task.Missing, at("path"), "is required")
	}
	if needsValue && o.Value == nil {
		return task.Errorf(task.Missing, at("value"), "is required for %s", *o.Op)
	}
	if needsFrom && o.From == nil {
		return task.Errorf(task.Missing, at("from"), "is required for %s", *o.Op)
	}
	for member, pointer := range map[string]*string{"path": o.Path, "from": o.From} {
		if pointer != nil && *pointer != "" && !strings.HasPrefix(*pointer, "/") {
			return task.Errorf(task.IllegalValue, at(member), "%q is not a JSON pointer: it begins with / (RFC 6901)", *pointer)
		}
	}
	return nil
}

// touches reports whether an operation other than test may change a member.
func (p *patch) touches(pointer string) bool {
	for _, op := range p.ops {
		if *op.Op == "test" {
			continue
		}
		if *op.Path == pointer || *op.Path == "" || *op.Op == "move" && (*op.From == pointer || *op.From == "") {
			return true
		}
	}
	return false
}

// clear works out what the patch asks of a task, whose TaskStatus is wire; nil
// is nothing. On a complete task the tests are not looked at, so that the
// repeat of a clear is harmless (contract, section 6).
func (p *patch) clear(t *task.Task, wire []byte) (*task.Clear, error) {
	ops := p.all
	if t.Status != task.InProgress {
		ops = p.changes
	}
	result, err := apply(ops, wire, fmt.Sprintf("; only %s and %s can be changed", statusPath, completedPath))
	if err != nil {
		return nil, err
	}
	members, err := onlyEndChanged(wire, result)
	if err != nil {
		return nil, err
	}
	clearing := &task.Clear{Status: t.Status}
	if p.touches(statusPath) {
		if clearing.Status, err = parseStatus(members["completionStatus"]); err != nil {
			return nil, err
		}
	}
	if p.touches(completedPath) {
		raw := members["completed"]
		switch absent := raw == nil || string(raw) == "null"; {
		case absent && t.Status != task.InProgress:
			return nil, task.Errorf(task.IllegalUpdate, "completed", "cannot be taken away: the task ended at %s", task.FormatTime(t.Completed))
		case absent:
		default:
			if clearing.Completed, err = parseCompleted(raw); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case clearing.Status == task.InProgress && !clearing.Completed.IsZero():
		return nil, task.Errorf(task.Missing, "completionStatus", "is required where completed is set: %s", task.StatusList())
	case clearing.Status == task.InProgress, len(p.changes) == 0:
		return nil, nil //nolint:nilnil // the patch asks for nothing
	}
	return clearing, nil
}

// apply applies operations to a document; the error names the one that failed,
// and ends with what is possible instead.
func apply(ops jsonpatch.Patch, doc []byte, instead string) ([]byte, error) {
	options := jsonpatch.NewApplyOptions()
	options.SupportNegativeIndices = false
	options.AccumulatedCopySizeLimit = maxCopied
	options.EscapeHTML = false
	result, err := applyOrFail(ops, doc, options)
	if err == nil {
		return result, nil
	}
	// The library does not say which operation failed: the first prefix that
	// fails ends with it.
	n := sort.Search(len(ops)-1, func(i int) bool {
		_, err := applyOrFail(ops[:i+1], doc, options)
		return err != nil
	})
	failed := ops[n]
	path, _ := failed.Path()
	from, _ := failed.From()
	if failed.Kind() == "test" || failed.Kind() == "move" && from == path {
		return nil, task.Errorf(task.Content, path, "the test failed: what stands there is another value, or nothing")
	}
	var tooMuch *jsonpatch.AccumulatedCopySizeError
	if errors.As(err, &tooMuch) {
		return nil, task.Errorf(task.Content, path, "the copies add up to more than %d bytes", maxCopied)
	}
	return nil, &task.Error{
		Kind: task.IllegalUpdate, Field: path, Err: err,
		Msg: fmt.Sprintf("%s is not possible%s", failed.Kind(), instead),
	}
}

// applyOrFail applies operations. Some documents make the library panic (null
// where it looks for an array); nothing of what it did then is kept.
func applyOrFail(ops jsonpatch.Patch, doc []byte, options *jsonpatch.ApplyOptions) (result []byte, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			result, err = nil, fmt.Errorf("the patch cannot be applied: %v", fault)
		}
	}()
	return ops.ApplyWithOptions(doc, options)
}

// onlyEndChanged returns the members of a patched TaskStatus, or an error that
// names a path other than the two that may change.
func onlyEndChanged(before, after []byte) (map[string]json.RawMessage, error) {
	var old, patched map[string]json.RawMessage
	if err := json.Unmarshal(before, &old); err != nil {
		return nil, fmt.Errorf("read the task: %w", err)
	}
	if err := json.Unmarshal(after, &patched); err != nil || patched == nil {
		return nil, task.Errorf(task.IllegalUpdate, "", "the patched document is no TaskStatus any more")
	}
	names := make([]string, 0, len(old)+len(patched))
	for name := range old {
		names = append(names, name)
	}
	for name := range patched {
		if _, known := old[name]; !known {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		if "/"+name == statusPath || "/"+name == completedPath {
			continue
		}
		if pointer := firstDifference("/"+escapePointer(name), old[name], patched[name]); pointer != "" {
			return nil, task.Errorf(task.IllegalUpdate, pointer, "cannot be changed; only %s and %s can", statusPath, completedPath)
		}
	}
	return patched, nil
}

// firstDifference returns the JSON pointer of a place where two values differ,
// or "".
func firstDifference(pointer string, a, b json.RawMessage) string {
	if bytes.Equal(a, b) {
		return ""
	}
	if a == nil || b == nil {
		return pointer
	}
	return differ(pointer, decode(a), decode(b))
}

func differ(pointer string, a, b any) string {
	if reflect.DeepEqual(a, b) {
		return ""
	}
	switch a := a.(type) {
	case map[string]any:
		other, ok := b.(map[string]any)
		if !ok || len(a) != len(other) {
			return pointer
		}
		for name, value := range a {
			another, ok := other[name]
			if !ok {
				return pointer
			}
			if found := differ(pointer+"/"+escapePointer(name), value, another); found != "" {
				return found
			}
		}
	case []any:
		other, ok := b.([]any)
		if !ok || len(a) != len(other) {
			return pointer
		}
		for i := range a {
			if found := differ(pointer+"/"+strconv.Itoa(i), a[i], other[i]); found != "" {
				return found
			}
		}
	}
	return pointer
}

// decode reads a value with its numbers as written.
func decode(raw json.RawMessage) any {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return string(raw)
	}
	return v
}

func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// parseStatus reads a completion status as scripts write it.
func parseStatus(raw json.RawMessage) (task.CompletionStatus, error) {
	var s string
	if raw == nil || string(raw) == "null" || json.Unmarshal(raw, &s) != nil {
		shown := string(raw)
		if raw == nil {
			shown = "nothing"
		}
		return "", task.Errorf(task.IllegalValue, "completionStatus", "%s is not allowed: %s", task.Abbreviate(shown), task.StatusList())
	}
	switch {
	case strings.EqualFold(s, "Completed"): // a widely used script's default
		return task.Success, nil
	case strings.EqualFold(s, "Temp_Error"):
		return task.TempError, nil
	}
	status, ok := task.ParseCompletionStatus(s)
	if !ok {
		return "", task.Errorf(task.IllegalValue, "completionStatus", "%q is not allowed: %s", task.Abbreviate(s), task.StatusList())
	}
	return status, nil
}

// parseCompleted reads a time as scripts write it (contract, section 6).
func parseCompleted(raw json.RawMessage) (time.Time, error) {
	bad := task.Errorf(task.IllegalValue, "completed",
		"%s is not a time: RFC 3339 like 2026-11-24T23:40:50.123Z, or whole epoch milliseconds", task.Abbreviate(string(raw)))
	var s string
	if json.Unmarshal(raw, &s) != nil {
		ms, err := strconv.ParseInt(string(raw), 10, 64)
		// The latest time that has four digits of year.
		if err != nil || ms < 0 || ms > 253402300799999 {
			return time.Time{}, bad
		}
		return time.UnixMilli(ms).UTC(), nil
	}
	t, ok := task.ParseTime(s)
	if !ok {
		return time.Time{}, bad
	}
	return t, nil
}
