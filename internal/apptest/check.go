package apptest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// A check says what is wrong with the value at a path. Values are those of
// parse.
type check func(path string, v any) error

// member is one member of an object: always there unless optional.
type member struct {
	check    check
	optional bool
}

// anObject checks an object whose members are these and no others.
func anObject(members map[string]member) check {
	return func(path string, v any) error {
		object, ok := v.(map[string]any)
		if !ok {
			return breach(path, v, "an object")
		}
		var errs []error
		for _, name := range slices.Sorted(maps.Keys(members)) {
			value, there := object[name]
			switch {
			case there:
				errs = append(errs, members[name].check(path+"/"+name, value))
			case !members[name].optional:
				errs = append(errs, fmt.Errorf("%s/%s is missing", path, name))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if _, known := members[name]; !known {
				errs = append(errs, fmt.Errorf("%s/%s does not belong here", path, name))
			}
		}
		return errors.Join(errs...)
	}
}

func anArray(of check) check {
	return func(path string, v any) error {
		array, ok := v.([]any)
		if !ok {
			return breach(path, v, "an array")
		}
		var errs []error
		for i, element := range array {
			errs = append(errs, of(path+"/"+strconv.Itoa(i), element))
		}
		return errors.Join(errs...)
	}
}

func orNull(c check) check {
	return func(path string, v any) error {
		if v == nil {
			return nil
		}
		return c(path, v)
	}
}

func anyObject(path string, v any) error {
	if _, ok := v.(map[string]any); !ok {
		return breach(path, v, "an object")
	}
	return nil
}

func aString(path string, v any) error {
	if _, ok := v.(string); !ok {
		return breach(path, v, "a string")
	}
	return nil
}

func someText(path string, v any) error {
	if s, ok := v.(string); !ok || s == "" {
		return breach(path, v, "a string that is not empty")
	}
	return nil
}

func aBool(path string, v any) error {
	if _, ok := v.(bool); !ok {
		return breach(path, v, "true or false")
	}
	return nil
}

func oneOf(allowed ...string) check {
	return func(path string, v any) error {
		if s, ok := v.(string); !ok || !slices.Contains(allowed, s) {
			return breach(path, v, fmt.Sprintf("one of %q", allowed))
		}
		return nil
	}
}

// aWhole checks a whole number that is written as one: 40, neither 40.0 nor 4e1.
func aWhole(low, high int64) check {
	return func(path string, v any) error {
		n, ok := v.(number)
		i, err := strconv.ParseInt(string(n), 10, 64)
		if !ok || err != nil || i < low || i > high || string(n) != strconv.FormatInt(i, 10) {
			return breach(path, v, fmt.Sprintf("a whole number from %d to %d", low, high))
		}
		return nil
	}
}

func breach(path string, v any, want string) error {
	if path == "" {
		path = "/"
	}
	return fmt.Errorf("%s is %s, want %s", path, show(v), want)
}

func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(v)
	case number:
		return string(v)
	case map[string]any:
		return fmt.Sprintf("an object of %d members", len(v))
	case []any:
		return fmt.Sprintf("an array of %d elements", len(v))
	}
	return fmt.Sprint(v)
}
