package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"stint/internal/strictjson"
	"stint/internal/task"
)

const (
	mediaJSON       = "application/json"
	mediaJSONPatch  = "application/json-patch+json"
	mediaMergePatch = "application/merge-patch+json"
)

// sourcePatch makes another document of a source's.
type sourcePatch func(doc []byte) ([]byte, error)

// parseSourcePatch reads a JSON Patch (RFC 6902) or a JSON Merge Patch (RFC
// 7396). Where the media type does not say which, an array is the one and an
// object the other.
func parseSourcePatch(contentType string, body []byte) (sourcePatch, error) {
	if err := strictjson.Check(body); err != nil {
		return nil, err
	}
	media, _, _ := mime.ParseMediaType(contentType)
	first := bytes.TrimSpace(body)[0]
	if media == mediaJSONPatch || media != mediaMergePatch && first == '[' {
		p, err := parsePatch(body)
		if err != nil {
			return nil, err
		}
		return func(doc []byte) ([]byte, error) { return apply(p.all, doc, "") }, nil
	}
	if first != '{' {
		return nil, task.Errorf(task.Content, "body",
			"this patch is an object (JSON Merge Patch, RFC 7396) or an array of operations (JSON Patch, RFC 6902)")
	}
	return func(doc []byte) ([]byte, error) { return mergePatch(doc, body) }, nil
}

// changeable applies the patch to a document and returns what people decide of the
// result. The read-only members must be as they were.
func (p sourcePatch) changeable(doc []byte, what string, readOnly []string) ([]byte, error) {
	result, err := p(doc)
	if err != nil {
		return nil, err
	}
	var old, patched map[string]json.RawMessage
	if err := json.Unmarshal(doc, &old); err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	if err := json.Unmarshal(result, &patched); err != nil || patched == nil {
		return nil, task.Errorf(task.IllegalUpdate, "", "the patched document is no %s any more", what)
	}
	for _, name := range readOnly {
		if pointer := firstDifference("/"+name, old[name], patched[name]); pointer != "" {
			return nil, task.Errorf(task.IllegalUpdate, pointer, "cannot be changed")
		}
		if name != "type" {
			delete(patched, name)
		}
	}
	rest, err := json.Marshal(patched)
	if err != nil {
		return nil, fmt.Errorf("read the patched %s: %w", what, err)
	}
	return rest, nil
}

// mergePatch applies a JSON Merge Patch. A panic of the library is an error, as
// it is of a JSON Patch.
func mergePatch(doc, patch []byte) (result []byte, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			result, err = nil, &task.Error{
				Kind: task.IllegalUpdate, Field: "body", Msg: "the patch cannot be applied", Err: fmt.Errorf("panic: %v", fault),
			}
		}
	}()
	result, err = jsonpatch.MergePatch(doc, patch)
	if err != nil {
		return nil, &task.Error{Kind: task.IllegalUpdate, Field: "body", Msg: "the patch cannot be applied", Err: err}
	}
	return result, nil
}
