package strictjson_test

import (
	"errors"
	"strings"
	"testing"

	"stint/internal/strictjson"
	"stint/internal/task"
)

func TestUnmarshalRefusesWhatHasNoSingleMeaning(t *testing.T) {
	t.Parallel()
	type inner struct {
		Name string `json:"name"`
	}
	type body struct {
		Count int     `json:"count"`
		Name  string  `json:"name"`
		List  []inner `json:"list"`
	}
	for name, tc := range map[string]struct {
		in       string
		kind     task.ErrorKind
		contains string
	}{
		"empty":              {"", task.Missing, "empty"},
		"not JSON":           {"{not json", task.Syntax, "position 3"},
		"cut":                {`{"count":1`, task.Syntax, "ends too early"},
		"trailing":           {`{"count":1} {}`, task.Syntax, "more follows"},
		"duplicate":          {`{"count":1,"count":2}`, task.Syntax, "/count"},
		"nested duplicate":   {`{"list":[{"name":"a","name":"b"}]}`, task.Syntax, "/list/0/name"},
		"unknown member":     {`{"size":1}`, task.IllegalValue, "/size"},
		"other case":         {`{"Count":1}`, task.IllegalValue, "/Count"},
		"fraction":           {`{"count":1.5}`, task.IllegalValue, "1.5"},
		"too large":          {`{"count":99999999999999999999}`, task.IllegalValue, "/count"},
		"string for number":  {`{"count":"1"}`, task.IllegalValue, `/count: "1" is not allowed: a whole number`},
		"null in an array":   {`{"list":[{"name":"a"},7]}`, task.IllegalValue, "/list/1: the number is not allowed: an object"},
		"object for string":  {`{"name":{"a":1}}`, task.IllegalValue, `{"a":1} is not allowed: a string`},
		"nested wrong type":  {`{"list":[{"name":7}]}`, task.IllegalValue, "/list/0/name"},
		"array for object":   {`[]`, task.IllegalValue, "object"},
		"invalid UTF-8":      {"{\"name\":\"\xff\"}", task.Syntax, "UTF-8"},
		"lone surrogate":     {`{"name":"\ud800"}`, task.Syntax, "position"},
		"NUL":                {`{"name":"a\u0000"}`, task.IllegalValue, "U+0000"},
		"NUL in a name":      {`{"\u0000":1}`, task.IllegalValue, "U+0000"},
		"deep":               {strings.Repeat("[", 20000), task.Syntax, "position"},
		"raw control letter": {"{\"name\":\"a\nb\"}", task.Syntax, "position"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b body
			err := strictjson.Unmarshal([]byte(tc.in), &b)
			var e *task.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want a typed error", err)
			}
			if e.Kind != tc.kind || !strings.Contains(e.Text(), tc.contains) {
				t.Fatalf("got kind %d %q, want kind %d with %q", e.Kind, e.Text(), tc.kind, tc.contains)
			}
		})
	}
}

func TestUnmarshalAcceptsAnEscapedBackslashBeforeU0000(t *testing.T) {
	t.Parallel()
	var v struct {
		Name string `json:"name"`
	}
	if err := strictjson.Unmarshal([]byte(`{"name":"a\\u0000"}`), &v); err != nil {
		t.Fatal(err)
	}
	if v.Name != `a\u0000` {
		t.Fatalf("got %q", v.Name)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"a":[1,"x\u0000"]}`))
	f.Add([]byte(`[[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		checked, read := strictjson.Check(data), strictjson.Unmarshal(data, &v)
		if (checked == nil) != (read == nil) {
			t.Fatalf("Check says %v, Unmarshal says %v", checked, read)
		}
		var e *task.Error
		if read != nil && !errors.As(read, &e) {
			t.Fatalf("got %v, want a typed error", read)
		}
	})
}
