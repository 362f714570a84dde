package execrun

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// directiveKind is what a directive line asks for.
type directiveKind int

const (
	directiveProgress directiveKind = iota + 1
	directiveWarning
	directiveError
	directiveNotice
	directiveAttribute
)

// directive is a line of the program's output that speaks to the task.
type directive struct {
	kind directiveKind
	// percent is -1 where none was given.
	percent int
	text    string
	name    string
	value   any
}

const directiveMark = "::"

func directiveWords() []string {
	return []string{"progress", "warning", "error", "notice", "attribute"}
}

// couldBeDirective says whether the beginning of a line may still become a directive, and
// whether its word is complete already.
func couldBeDirective(beginning []byte) (possible, complete bool) {
	for _, word := range directiveWords() {
		full := directiveMark + word
		if len(beginning) <= len(full) {
			if strings.HasPrefix(full, string(beginning)) {
				return true, false
			}
			continue
		}
		if bytes.HasPrefix(beginning, []byte(full)) && bytes.IndexByte([]byte(" \t\r\n"), beginning[len(full)]) >= 0 {
			return true, true
		}
	}
	return false, false
}

// parseDirective reads a line. One that says nothing (no text, no name) is none, so that it
// stays in the output where its author sees it.
func parseDirective(line []byte) (directive, bool) {
	line = bytes.TrimRight(line, "\r\n")
	rest, ok := bytes.CutPrefix(line, []byte(directiveMark))
	if !ok {
		return directive{}, false
	}
	word, argument := string(rest), ""
	if i := bytes.IndexAny(rest, " \t"); i >= 0 {
		word, argument = string(rest[:i]), strings.TrimSpace(string(rest[i:]))
	}
	if argument == "" {
		return directive{}, false
	}
	d := directive{percent: -1, text: argument}
	switch word {
	case "progress":
		d.kind = directiveProgress
		d.percent, d.text = splitPercent(argument)
	case "warning":
		d.kind = directiveWarning
	case "error":
		d.kind = directiveError
	case "notice":
		d.kind = directiveNotice
	case "attribute":
		d.kind, d.text = directiveAttribute, ""
		d.name, d.value, ok = SplitAssignment(argument)
		return d, ok
	default:
		return directive{}, false
	}
	return d, true
}

// splitPercent takes a leading percentage (40, 40%, 42.5) off; a number over 100 is text.
func splitPercent(s string) (percent int, text string) {
	first, rest, _ := strings.Cut(s, " ")
	number := strings.TrimSuffix(first, "%")
	if number == "" || strings.Trim(number, "0123456789.") != "" {
		return -1, s
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f < 0 || f > 100 {
		return -1, s
	}
	return int(f), strings.TrimSpace(rest)
}

// SplitAssignment reads name=value, a text, or name:=value, a JSON value.
func SplitAssignment(s string) (name string, value any, ok bool) {
	name, text, ok := strings.Cut(s, "=")
	if !ok {
		return "", nil, false
	}
	name, isJSON := strings.CutSuffix(name, ":")
	name = strings.TrimSpace(name)
	if name == "" {
		return "", nil, false
	}
	if !isJSON {
		return name, text, true
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		return "", nil, false
	}
	return name, value, true
}
