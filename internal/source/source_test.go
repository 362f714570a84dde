package source_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stint/internal/source"
	"stint/internal/task"
)

func valid() source.Source {
	return source.Source{
		Name: "HR", Type: source.DelimitedFile, Deletions: source.DefaultThreshold(),
		File: source.File{
			AccountID: "id", DisplayName: "name", Entitlements: []string{"groups"},
			MultiValueSeparator: source.DefaultMultiValueSeparator, Delimiter: source.DefaultDelimiter,
		},
	}
}

func TestValidateAllows(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*source.Source){
		"as it is":                  func(*source.Source) {},
		"the least":                 func(s *source.Source) { s.File.DisplayName, s.File.Entitlements = "", nil },
		"name of other scripts":     func(s *source.Source) { s.Name = "Personal – 人事 😀" },
		"a name almost an id":       func(s *source.Source) { s.Name = strings.Repeat("a", 31) },
		"the longest name":          func(s *source.Source) { s.Name = strings.Repeat("é", 128) },
		"the longest description":   func(s *source.Source) { s.Description = strings.Repeat("é", 4096) },
		"delimiter: a tab":          func(s *source.Source) { s.File.Delimiter = "\t" },
		"delimiter: not ASCII":      func(s *source.Source) { s.File.Delimiter = "¦" },
		"separator of several":      func(s *source.Source) { s.File.MultiValueSeparator = " | " },
		"name and id in one column": func(s *source.Source) { s.File.DisplayName = "id" },
		"columns":                   func(s *source.Source) { s.File.Columns = []string{"id", "name", "groups", "Id"} },
		"columns that differ in case": func(s *source.Source) {
			s.File.Columns, s.File.Entitlements = []string{"id", "ID", "name"}, []string{"ID"}
		},
		"most columns":      func(s *source.Source) { s.File.Entitlements, s.File.Columns = nil, append(columns(998), "id", "name") },
		"nothing may go":    func(s *source.Source) { s.Deletions = source.Threshold{} },
		"everything may go": func(s *source.Source) { s.Deletions = source.Threshold{Percent: 100, Minimum: 1e12} },
	} {
		s := valid()
		set(&s)
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func columns(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	return names
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	const attributes = "connectorAttributes."
	for name, test := range map[string]struct {
		set   func(*source.Source)
		kind  task.ErrorKind
		field string
		says  string
	}{
		"no name":             {func(s *source.Source) { s.Name = "" }, task.Missing, "name", ""},
		"a blank name":        {func(s *source.Source) { s.Name = " \t" }, task.Missing, "name", ""},
		"white space":         {func(s *source.Source) { s.Name = "HR " }, task.IllegalValue, "name", `"HR "`},
		"a long name":         {func(s *source.Source) { s.Name = strings.Repeat("é", 129) }, task.IllegalValue, "name", "128"},
		"an id for a name":    {func(s *source.Source) { s.Name = strings.Repeat("A", 32) }, task.IllegalValue, "name", "id"},
		"a UUID for a name":   {func(s *source.Source) { s.Name = "9315df38-7ad1-6c49-20c9-47a67932c2a4" }, task.IllegalValue, "name", "id"},
		"U+0000":              {func(s *source.Source) { s.Name = "H\x00R" }, task.IllegalValue, "name", "U+0000"},
		"not UTF-8":           {func(s *source.Source) { s.Description = "\xff" }, task.IllegalValue, "description", "UTF-8"},
		"a long description":  {func(s *source.Source) { s.Description = strings.Repeat("x", 4097) }, task.IllegalValue, "description", "4096"},
		"no type":             {func(s *source.Source) { s.Type = "" }, task.Missing, "type", "DelimitedFile"},
		"another type":        {func(s *source.Source) { s.Type = "LDAP" }, task.IllegalValue, "type", "DelimitedFile"},
		"type in other case":  {func(s *source.Source) { s.Type = "delimitedfile" }, task.IllegalValue, "type", "DelimitedFile"},
		"percent below":       {func(s *source.Source) { s.Deletions.Percent = -1 }, task.IllegalValue, "deletionThreshold.percent", "0 to 100"},
		"percent above":       {func(s *source.Source) { s.Deletions.Percent = 101 }, task.IllegalValue, "deletionThreshold.percent", "101"},
		"minimum below":       {func(s *source.Source) { s.Deletions.Minimum = -1 }, task.IllegalValue, "deletionThreshold.minimum", "-1"},
		"minimum above":       {func(s *source.Source) { s.Deletions.Minimum = 1e12 + 1 }, task.IllegalValue, "deletionThreshold.minimum", ""},
		"no account id":       {func(s *source.Source) { s.File.AccountID = "" }, task.Missing, attributes + "accountId", ""},
		"a blank account id":  {func(s *source.Source) { s.File.AccountID = " " }, task.IllegalValue, attributes + "accountId", ""},
		"a control character": {func(s *source.Source) { s.File.Entitlements = []string{"a\x1fb"} }, task.IllegalValue, attributes + "entitlements", "control"},
		"a long account id":   {func(s *source.Source) { s.File.AccountID = strings.Repeat("x", 257) }, task.IllegalValue, attributes + "accountId", "256"},
		"a display name":      {func(s *source.Source) { s.File.DisplayName = " name" }, task.IllegalValue, attributes + "displayName", ""},
		"no delimiter":        {func(s *source.Source) { s.File.Delimiter = "" }, task.IllegalValue, attributes + "delimiter", "one character"},
		"two delimiters":      {func(s *source.Source) { s.File.Delimiter = ";;" }, task.IllegalValue, attributes + "delimiter", `";;"`},
		"a quote":             {func(s *source.Source) { s.File.Delimiter = `"` }, task.IllegalValue, attributes + "delimiter", ""},
		"a line feed":         {func(s *source.Source) { s.File.Delimiter = "\n" }, task.IllegalValue, attributes + "delimiter", ""},
		"U+FFFD":              {func(s *source.Source) { s.File.Delimiter = "\ufffd" }, task.IllegalValue, attributes + "delimiter", ""},
		"half a character":    {func(s *source.Source) { s.File.Delimiter = "\xc3" }, task.IllegalValue, attributes + "delimiter", ""},
		"U+0000 delimits":     {func(s *source.Source) { s.File.Delimiter = "\x00" }, task.IllegalValue, attributes + "delimiter", ""},
		"no separator":        {func(s *source.Source) { s.File.MultiValueSeparator = "" }, task.Missing, attributes + "multiValueSeparator", ""},
		"a long separator":    {func(s *source.Source) { s.File.MultiValueSeparator = strings.Repeat("|", 17) }, task.IllegalValue, attributes + "multiValueSeparator", "16"},
		"entitlement twice":   {func(s *source.Source) { s.File.Entitlements = []string{"a", "b", "a"} }, task.IllegalValue, attributes + "entitlements", `"a"`},
		"a blank entitlement": {func(s *source.Source) { s.File.Entitlements = []string{""} }, task.IllegalValue, attributes + "entitlements", ""},
		"the account id":      {func(s *source.Source) { s.File.Entitlements = []string{"x", "id"} }, task.IllegalValue, attributes + "entitlements", "native identity"},
		"many entitlements":   {func(s *source.Source) { s.File.Entitlements = columns(1001) }, task.IllegalValue, attributes + "entitlements", "1000"},
		"column twice":        {func(s *source.Source) { s.File.Columns = []string{"id", "name", "groups", "id"} }, task.IllegalValue, attributes + "columns", `"id"`},
		"many columns":        {func(s *source.Source) { s.File.Columns = columns(1001) }, task.IllegalValue, attributes + "columns", "1000"},
		"bytes of columns":    {func(s *source.Source) { s.File.Columns = long(600) }, task.IllegalValue, attributes + "columns", "131072"},
		"without account id":  {func(s *source.Source) { s.File.Columns = []string{"name", "groups"} }, task.IllegalValue, attributes + "accountId", `"id"`},
		"without the name":    {func(s *source.Source) { s.File.Columns = []string{"id", "groups"} }, task.IllegalValue, attributes + "displayName", `"name"`},
		"without a group":     {func(s *source.Source) { s.File.Columns = []string{"id", "name"} }, task.IllegalValue, attributes + "entitlements", `"groups"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := valid()
			test.set(&s)
			err := s.Validate()
			e, ok := errors.AsType[*task.Error](err)
			if !ok || e.Kind != test.kind || e.Field != test.field || !strings.Contains(e.Msg, test.says) {
				t.Fatalf("got %#v, want kind %v about %s that says %q", err, test.kind, test.field, test.says)
			}
		})
	}
}

// long returns n names of columns of about 250 bytes.
func long(n int) []string {
	names := columns(n)
	for i := range names {
		names[i] += strings.Repeat("x", 245)
	}
	return names
}

func TestLimitOfDeletions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		percent               int
		minimum, stored, want int64
	}{
		{10, 10, 0, 10},
		{10, 10, 100, 10},
		{10, 10, 109, 10},
		{10, 10, 110, 11},
		{10, 10, 1_000_000, 100_000},
		{0, 0, 1_000_000, 0},
		{100, 0, 7, 7},
		{33, 0, 199, 65},
		{50, 0, math.MaxInt64, math.MaxInt64 / 2},
	} {
		if got := (source.Threshold{Percent: test.percent, Minimum: test.minimum}).Limit(test.stored); got != test.want {
			t.Errorf("%d%%, at least %d, of %d: %d, want %d", test.percent, test.minimum, test.stored, got, test.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		th := source.Threshold{Percent: rapid.IntRange(0, 100).Draw(t, "percent"), Minimum: rapid.Int64Range(0, 1e12).Draw(t, "minimum")}
		stored := rapid.Int64Range(0, 1<<53).Draw(t, "stored")
		got := th.Limit(stored)
		if want := max(th.Minimum, stored*int64(th.Percent)/100); got != want {
			t.Fatalf("%+v of %d: %d, want %d", th, stored, got, want)
		}
	})
}

func TestParseType(t *testing.T) {
	t.Parallel()
	if got, ok := source.ParseType("delimitedFILE"); !ok || got != source.DelimitedFile {
		t.Errorf("got %q, %v", got, ok)
	}
	for _, s := range []string{"", "Delimited File", "DelimitedFile ", "LDAP"} {
		if got, ok := source.ParseType(s); ok {
			t.Errorf("%q is %q", s, got)
		}
	}
}
