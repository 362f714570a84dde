package apptest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// number is a JSON number as it was written.
type number string

// parse reads one JSON value as map[string]any, []any, string, number, bool or
// nil. It refuses what JSON readers of other languages take differently or not
// at all: invalid UTF-8, lone surrogates, a name twice in one object, anything
// after the value, and U+0000 in any text.
func parse(data []byte) (any, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	v, err := parseValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the value at byte %d", d.InputOffset())
	}
	return v, nil
}

func parseValue(d *jsontext.Decoder) (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	switch token.Kind() {
	case '{':
		return parseObject(d)
	case '[':
		return parseArray(d)
	case '"':
		return text(token.String(), d)
	case '0':
		return number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	default:
		return nil, nil //nolint:nilnil // null is a value
	}
}

func parseObject(d *jsontext.Decoder) (any, error) {
	object := map[string]any{}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return nil, fmt.Errorf("read a name: %w", err)
		}
		name, err := text(token.String(), d)
		if err != nil {
			return nil, err
		}
		if object[name], err = parseValue(d); err != nil {
			return nil, err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, fmt.Errorf("read the end of an object: %w", err)
	}
	return object, nil
}

func parseArray(d *jsontext.Decoder) (any, error) {
	array := []any{}
	for d.PeekKind() != ']' {
		v, err := parseValue(d)
		if err != nil {
			return nil, err
		}
		array = append(array, v)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, fmt.Errorf("read the end of an array: %w", err)
	}
	return array, nil
}

func text(s string, d *jsontext.Decoder) (string, error) {
	if strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("U+0000 in %q before byte %d", s, d.InputOffset())
	}
	return s, nil
}
