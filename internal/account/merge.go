package account

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Merge makes one record of two that a source states under one key, and tells
// whether they can be one.
//
// Two are one where they differ in nothing but the columns in entitlements:
// there the values of both hold, sorted, each once. A record that could not be
// read whole gives way to one that could, whichever comes first. Without
// entitlements (so it is called for records of class Entitlements) two records
// are one only where they are equal.
func Merge(first, second Record, entitlements []string) (Record, bool) {
	switch {
	case first.Key != second.Key:
		return Record{}, false
	case second.Keep:
		return first, true
	case first.Keep:
		return second, true
	case first.Name != second.Name:
		return Record{}, false
	case bytes.Equal(first.Body, second.Body):
		return first, true
	case len(entitlements) == 0:
		return Record{}, false
	}
	body, ok := mergeBodies(&first, &second, entitlements)
	if !ok {
		return Record{}, false
	}
	first.Body = body
	return first, true
}

// Likeness returns a text that two records of one key share exactly where Merge
// can make one of them, Keep aside: what they say apart from the columns in
// entitlements.
func Likeness(r *Record, entitlements []string) string {
	rest := r.Body
	if len(entitlements) > 0 {
		if attributes, err := r.Attributes(); err == nil && attributes != nil {
			for _, name := range entitlements {
				delete(attributes, name)
			}
			rest = appendAttributes(nil, attributes, func(dst []byte, v json.RawMessage) []byte { return append(dst, v...) })
		}
	}
	return r.Name + "\x00" + string(rest)
}

func mergeBodies(first, second *Record, entitlements []string) ([]byte, bool) {
	a, err := first.Attributes()
	if err != nil || a == nil {
		return nil, false
	}
	b, err := second.Attributes()
	if err != nil || b == nil {
		return nil, false
	}
	for _, name := range entitlements {
		united, err := unite(a[name], b[name])
		if err != nil {
			return nil, false
		}
		delete(a, name)
		delete(b, name)
		if united != nil {
			a[name], b[name] = united, united
		}
	}
	if !maps.EqualFunc(a, b, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) }) {
		return nil, false
	}
	body := make([]byte, 0, len(first.Body)+len(second.Body))
	return appendAttributes(body, a, func(dst []byte, v json.RawMessage) []byte { return append(dst, v...) }), true
}

// unite returns the canonical array of the values of both, nil if there are
// none.
func unite(a, b json.RawMessage) (json.RawMessage, error) {
	values, err := texts(a)
	if err != nil {
		return nil, err
	}
	more, err := texts(b)
	if err != nil {
		return nil, err
	}
	if len(values)+len(more) == 0 {
		return nil, nil
	}
	values = append(values, more...)
	slices.Sort(values)
	return AppendTexts(make([]byte, 0, len(a)+len(b)), slices.Compact(values)), nil
}
