package account

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// nameAttribute stands for a record's name in a list of what differs.
const nameAttribute = "name"

// DiffAttributes returns the names of the attributes that differ, sorted. An
// attribute that only one of the two has differs; the columns of an
// entitlement's file count one by one.
//
// A name is made of an attribute, mostly: where one that differs went from the
// one name to the other (or is absent where the name fell back to the native
// identity), it says all. Any other change of the name is listed as "name".
func DiffAttributes(before, after *Record) []string {
	a, b := flat(before), flat(after)
	var names []string
	explained := before.Name == after.Name
	for name, value := range a {
		if other, ok := b[name]; ok && bytes.Equal(value, other) {
			continue
		}
		names = append(names, name)
		explained = explained || isName(before, value) && isName(after, b[name])
	}
	for name, value := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
			explained = explained || isName(before, nil) && isName(after, value)
		}
	}
	if !explained {
		names = append(names, nameAttribute)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// isName tells whether a record has its name from an attribute of this value.
func isName(r *Record, value json.RawMessage) bool {
	if value == nil {
		_, nativeIdentity := ParseEntitlementKey(r.Key)
		return r.Name == r.Key || nativeIdentity != "" && r.Name == nativeIdentity
	}
	var text string
	return json.Unmarshal(value, &text) == nil && text == r.Name
}

// flat returns the members of a body; those of an object in it (an
// entitlement's other columns) stand beside them. A body that cannot be read
// has none: then all that the other one says differs.
func flat(r *Record) map[string]json.RawMessage {
	m, err := r.Attributes()
	if err != nil {
		return nil
	}
	members := make(map[string]json.RawMessage, len(m))
	for name, value := range m {
		var inner map[string]json.RawMessage
		if value[0] == '{' && json.Unmarshal(value, &inner) == nil {
			for k, v := range inner {
				members[k] = v
			}
			continue
		}
		members[name] = value
	}
	return members
}

// EntitlementValues returns the values that an account's body has of an
// attribute: those of an array, or a text as the only one; none where it is
// absent.
func EntitlementValues(body []byte, attribute string) ([]string, error) {
	r := Record{Body: body}
	m, err := r.Attributes()
	if err != nil {
		return nil, fmt.Errorf("read the body of an account: %w", err)
	}
	values, err := texts(m[attribute])
	if err != nil {
		return nil, fmt.Errorf("read the attribute %q of an account: %w", attribute, err)
	}
	return values, nil
}

// texts reads a text or an array of texts. Nothing, and an empty text, are none.
func texts(value json.RawMessage) ([]string, error) {
	if len(value) == 0 {
		return nil, nil
	}
	if value[0] == '[' {
		var many []string
		err := json.Unmarshal(value, &many)
		return many, err
	}
	var one string
	if err := json.Unmarshal(value, &one); err != nil || one == "" {
		return nil, err
	}
	return []string{one}, nil
}
