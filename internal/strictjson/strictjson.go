// Package strictjson reads JSON that people and programs send, and refuses what
// has no single meaning: unknown and duplicate members, names in another case,
// values of another type, invalid UTF-8, lone surrogates, U+0000 and anything
// after the value.
//
// It owns the translation of decoding faults into the typed error, with the
// position or the JSON pointer of the fault. It does not own what the values
// mean. Its functions are safe for concurrent use.
package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"stint/internal/task"
)

// Unmarshal reads data, one JSON value, into v. Its errors are *task.Error:
// Syntax with the position (bytes, from 1) for what is not JSON, IllegalValue
// with the member's JSON pointer for what does not fit v.
func Unmarshal(data []byte, v any) error {
	if err := Check(data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v, json.RejectUnknownMembers(true)); err != nil {
		return translate(err, data)
	}
	return nil
}

// Check reads data through and returns the error that Unmarshal would for what
// is wrong with it as JSON, or for U+0000 in a text: one store could not keep
// it.
func Check(data []byte) error {
	if !jsontext.Value(data).IsValid() || bytes.Contains(data, []byte(`\u0000`)) {
		return checkTokens(data)
	}
	return nil
}

// checkTokens finds the first fault of data, slowly.
func checkTokens(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return task.Errorf(task.Missing, "body", "is empty; JSON is expected")
	}
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	for done := false; !done; {
		tok, err := dec.ReadToken()
		if err != nil {
			return translate(err, data)
		}
		if tok.Kind() == jsontext.KindString && strings.ContainsRune(tok.String(), 0) {
			return task.Errorf(task.IllegalValue, string(dec.StackPointer()), "the character U+0000 is not allowed")
		}
		done = dec.StackDepth() == 0
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return syntax(dec.InputOffset(), "more follows the JSON value")
	}
	return nil
}

func translate(err error, data []byte) error {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		what := "not valid JSON"
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			what = fmt.Sprintf("the member %s stands twice", e.JSONPointer)
		case errors.Is(err, io.ErrUnexpectedEOF):
			what = "the JSON ends too early"
		case e.Err != nil:
			what = e.Err.Error()
		}
		return syntax(e.ByteOffset, what)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return task.Errorf(task.Syntax, "body", "the JSON ends too early")
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		return semantic(e, data)
	}
	return &task.Error{Kind: task.Syntax, Field: "body", Msg: "not valid JSON", Err: err}
}

func syntax(offset int64, what string) error {
	return task.Errorf(task.Syntax, "body", "%s, at position %d", what, offset+1)
}

func semantic(e *json.SemanticError, data []byte) error {
	field := string(e.JSONPointer)
	if field == "" {
		field = "body"
	}
	switch {
	case errors.Is(e.Err, json.ErrUnknownName):
		return task.Errorf(task.IllegalValue, field, "is not a known member")
	case e.GoType != nil && e.JSONKind != 0:
		return &task.Error{
			Kind: task.IllegalValue, Field: field, Err: e,
			Msg: fmt.Sprintf("%s is not allowed: %s is expected", shown(e, data), expected(e.GoType.Kind().String())),
		}
	}
	return &task.Error{Kind: task.IllegalValue, Field: field, Msg: "the value is not allowed here", Err: e}
}

// shown returns the value at fault, or what sort of value it is where it is
// long.
func shown(e *json.SemanticError, data []byte) string {
	const most = 60
	if v := at(data, e.JSONPointer); v != "" && len(v) <= most {
		return v
	}
	return "the " + e.JSONKind.String()
}

// at returns the value of the member that a pointer names in valid JSON, or ""
// where it names none.
func at(data []byte, pointer jsontext.Pointer) string {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		// After a name the pointer is that of its value, which comes next.
		kind, length := dec.StackIndex(dec.StackDepth())
		if kind == jsontext.KindBeginObject && length%2 == 1 && dec.StackPointer() == pointer {
			value, err := dec.ReadValue()
			if err != nil {
				return ""
			}
			return string(value)
		}
		if _, err := dec.ReadToken(); err != nil {
			return ""
		}
	}
}

func expected(goKind string) string {
	switch {
	case strings.HasPrefix(goKind, "int"):
		return "a whole number"
	case goKind == "string":
		return "a string"
	case goKind == "bool":
		return "true or false"
	case goKind == "slice":
		return "an array"
	case goKind == "struct", goKind == "map":
		return "an object"
	}
	return "another type"
}
