package query_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stint/internal/query"
	"stint/internal/task"
)

const someID = "9315df387ad16c4920c947a67932c2a4"

func tasksTable() *query.Table {
	return query.Tasks(task.NewCatalog(task.Definition{Kind: "NIGHTLY_BACKUP", DisplayName: "Sauvegarde à minuit"}))
}

// TestFilterMeaning shows by the canonical text how a filter was understood.
func TestFilterMeaning(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ filter, want string }{
		// Fields, operators and values.
		"id":                         {`id eq "` + someID + `"`, `id eq "` + someID + `"`},
		"id, upper case":             {`id eq "` + strings.ToUpper(someID) + `"`, `id eq "` + someID + `"`},
		"id, dashed":                 {`id eq "9315DF38-7ad1-6c49-20c9-47a67932c2a4"`, `id eq "` + someID + `"`},
		"id, bare":                   {`id eq ` + someID, `id eq "` + someID + `"`},
		"no id":                      {`id eq "No-Such É"`, `id eq "no-such É"`},
		"no id, empty":               {`id eq ""`, `id eq ""`},
		"id in":                      {`id in ("A","` + someID + `")`, `id in ("a", "` + someID + `")`},
		"source":                     {`sourceId eq "AbC"`, `sourceId eq "AbC"`},
		"source in":                  {`sourceId in ("a","B")`, `sourceId in ("a", "B")`},
		"launcher":                   {`launcher eq "Zoë O'Neil"`, `launcher eq "Zoë O'Neil"`},
		"status":                     {`completionStatus eq "tempError"`, `completionStatus eq "TEMPERROR"`},
		"status, bare":               {`completionStatus eq Success`, `completionStatus eq "SUCCESS"`},
		"status in":                  {`completionStatus   in ( "Error" ,"terminated" )`, `completionStatus in ("ERROR", "TERMINATED")`},
		"in progress":                {`completionStatus isnull`, `completionStatus isnull`},
		"kind":                       {`type eq "identity_refresh"`, `type eq "IDENTITY_REFRESH"`},
		"kind by display name":       {`type eq "cloud ACCOUNT aggregation"`, `type eq "CLOUD_ACCOUNT_AGGREGATION"`},
		"registered kind":            {`type eq nightly_backup`, `type eq "NIGHTLY_BACKUP"`},
		"registered kind by name":    {`type eq "sauvegarde à MINUIT"`, `type eq "NIGHTLY_BACKUP"`},
		"body type":                  {`type eq "qpoc"`, `type eq "QPOC"`},
		"kinds and body types":       {`type in (Quartz, identity_refresh, "QPOC", account_deletion)`, `type in ("IDENTITY_REFRESH", "ACCOUNT_DELETION", "QUARTZ", "QPOC")`},
		"kinds and body types, not":  {`not type in (Quartz, identity_refresh)`, `not type in ("IDENTITY_REFRESH", "QUARTZ")`},
		"kinds and body types, more": {`id eq a or type in (Quartz, identity_refresh)`, `id eq "a" or type in ("IDENTITY_REFRESH", "QUARTZ")`},
		"a list of one":              {`launcher in ("a")`, `launcher eq "a"`},
		"a list with repeats":        {`launcher in ("a", "a")`, `launcher in ("a", "a")`},
		// Precedence.
		"and before or":              {`id eq a or id eq b and id eq c`, `id eq "a" or id eq "b" and id eq "c"`},
		"and before or, left":        {`id eq a and id eq b or id eq c`, `id eq "a" and id eq "b" or id eq "c"`},
		"parentheses":                {`(id eq a or id eq b) and id eq c`, `(id eq "a" or id eq "b") and id eq "c"`},
		"needless parentheses":       {`((id eq a) and ((id eq c)))`, `id eq "a" and id eq "c"`},
		"needless around and":        {`(id eq a and id eq b) or id eq c`, `id eq "a" and id eq "b" or id eq "c"`},
		"and in and":                 {`id eq a and (id eq b and id eq c)`, `id eq "a" and (id eq "b" and id eq "c")`},
		"or in or":                   {`(id eq a or id eq b) or id eq c`, `(id eq "a" or id eq "b") or id eq "c"`},
		"not before and":             {`not id eq a and id eq b`, `not id eq "a" and id eq "b"`},
		"not before or":              {`not id eq a or id eq b`, `not id eq "a" or id eq "b"`},
		"not of parentheses":         {`not (id eq a and id eq b)`, `not (id eq "a" and id eq "b")`},
		"not of a comparison":        {`not (id eq a)`, `not id eq "a"`},
		"not not":                    {`not not id eq a`, `not not id eq "a"`},
		"not of isnull":              {`not completionStatus isnull`, `not completionStatus isnull`},
		"not in the middle":          {`id eq a and not id eq b or not (not id eq c)`, `id eq "a" and not id eq "b" or not not id eq "c"`},
		"many terms":                 {`id eq a and id eq b and id eq c or id eq d or id eq e`, `id eq "a" and id eq "b" and id eq "c" or id eq "d" or id eq "e"`},
		"not of or in and":           {`not (id eq a or id eq b) and id eq c`, `not (id eq "a" or id eq "b") and id eq "c"`},
		"or of kinds and body types": {`type eq identity_refresh or type eq quartz`, `type in ("IDENTITY_REFRESH", "QUARTZ")`},
		"or the other way":           {`type eq quartz or type eq identity_refresh`, `type eq "QUARTZ" or type eq "IDENTITY_REFRESH"`},
		// White space and tokens that touch.
		"no space before a quote":      {`sourceId eq"x"`, `sourceId eq "x"`},
		"no space before a list":       {`type in("qpoc","quartz")`, `type in ("QPOC", "QUARTZ")`},
		"no space around connectives":  {`(id eq"a")and(id eq"b")or(id eq"c")`, `id eq "a" and id eq "b" or id eq "c"`},
		"no space after a quote":       {`id eq "a"and id eq "b"or id in("c")and not(id eq"d")`, `id eq "a" and id eq "b" or id eq "c" and not id eq "d"`},
		"no space after isnull":        {`(completionStatus isnull)`, `completionStatus isnull`},
		"bare values in a list":        {`id in (a,b , c)`, `id in ("a", "b", "c")`},
		"bare value before )":          {`(launcher eq a)`, `launcher eq "a"`},
		"tabs and line breaks":         {"\tid\neq\r\n\"a\"\v\f ", `id eq "a"`},
		"no-break and wide spaces":     {"id\u00a0eq\u3000\"a\"", `id eq "a"`},
		"white space in a value":       {"launcher eq \" a\tb\n\u00a0\"", "launcher eq \" a\tb\n\u00a0\""},
		"bare: all its characters":     {`launcher eq a_B.9:+-`, `launcher eq "a_B.9:+-"`},
		"bare: a time":                 {`launcher eq 2026-01-01T00:00:00+05:00`, `launcher eq "2026-01-01T00:00:00+05:00"`},
		"bare: letters of any script":  {"launcher eq Zoe\u0308日本", "launcher eq \"Zoe\u0308日本\""},
		"bare: the name of a field":    {`launcher eq type`, `launcher eq "type"`},
		"bare: begins like a keyword":  {`launcher eq android and launcher eq notx`, `launcher eq "android" and launcher eq "notx"`},
		"bare: true":                   {`launcher eq true`, `launcher eq "true"`},
		"quoted keywords":              {`launcher in ("and","or","not","null","isnull","eq","(",")",",")`, `launcher in ("and", "or", "not", "null", "isnull", "eq", "(", ")", ",")`},
		"quoted text like a filter":    {`launcher eq "\" or id eq \"a"`, `launcher eq "\" or id eq \"a"`},
		"escaped quotes":               {`sourceId eq "source-\"abc\""`, `sourceId eq "source-\"abc\""`},
		"escaped backslash":            {`launcher eq "back\\slash"`, `launcher eq "back\\slash"`},
		"lone backslash":               {`launcher eq "back\slash\n"`, `launcher eq "back\\slash\\n"`},
		"escaped backslash at the end": {`launcher eq "a\\"`, `launcher eq "a\\"`},
		"three backslashes":            {`launcher eq "\\\"x"`, `launcher eq "\\\"x"`},
		"empty value":                  {`launcher eq ""`, `launcher eq ""`},
		"line break in a value":        {"launcher eq \"a\nb\"", "launcher eq \"a\nb\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := tasksTable().ParseFilter(test.filter)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.String(); got != test.want {
				t.Errorf("%s\n got %s\nwant %s", test.filter, got, test.want)
			}
			again, err := tasksTable().ParseFilter(e.String())
			if err != nil {
				t.Fatalf("the canonical text does not parse: %v", err)
			}
			if diff := cmp.Diff(e, again); diff != "" {
				t.Errorf("the canonical text means something else (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilterTree(t *testing.T) {
	t.Parallel()
	got, err := tasksTable().ParseFilter(
		`completionStatus isnull and (type in ("QPOC", "Identity Refresh") or not launcher in (A, "b")) and sourceId eq S`)
	if err != nil {
		t.Fatal(err)
	}
	want := query.And{Terms: []query.Expr{
		query.Null{Field: query.FieldStatus},
		query.Or{Terms: []query.Expr{
			query.Or{Terms: []query.Expr{
				query.Compare{Field: query.FieldKind, Values: []string{"IDENTITY_REFRESH"}},
				query.Compare{Field: query.FieldType, Values: []string{"QPOC"}},
			}},
			query.Not{Term: query.Compare{Field: query.FieldLauncher, Values: []string{"A", "b"}}},
		}},
		query.Compare{Field: query.FieldSource, Values: []string{"S"}},
	}}
	if diff := cmp.Diff(query.Expr(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNoFilter(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"", " ", "\t\r\n", "\u00a0", strings.Repeat(" ", query.MaxFilterBytes)} {
		if e, err := tasksTable().ParseFilter(filter); e != nil || err != nil {
			t.Errorf("%.10q: got %v, %v; want no filter and no error", filter, e, err)
		}
	}
}

func TestFilterError(t *testing.T) {
	t.Parallel()
	const (
		syntax  = task.Syntax
		content = task.Content
		illegal = task.IllegalValue
		fields  = "id, sourceId, completionStatus, type, launcher"
		ops     = "; the operators are eq, in, isnull"
		spaces  = "follows a value; a value with spaces needs double quotes"
	)
	kinds := strings.Join(task.NewCatalog().Kinds(), ", ") + ", NIGHTLY_BACKUP; or, as the body's type, QUARTZ, QPOC, QUEUED_TASK"
	statuses := "is not a completion status: SUCCESS, WARNING, ERROR, TERMINATED, TEMPERROR"
	inProgress := "; for tasks in progress, write: completionStatus isnull"
	for name, test := range map[string]struct {
		filter string
		kind   task.ErrorKind
		want   string
	}{
		// Where a comparison should begin.
		"a field alone":               {`launcher`, syntax, `the end at position 9 comes where an operator is expected` + ops},
		"an unknown word alone":       {`nonsense`, syntax, `the end at position 9 comes where an operator is expected` + ops},
		"quotes only":                 {`""`, syntax, `the value "" at position 1 comes where a field is expected; fields are written without quotes`},
		"a quoted field":              {`"launcher" eq "a"`, syntax, `the value "launcher" at position 1 comes where a field is expected; fields are written without quotes`},
		"an operator first":           {`eq "a"`, syntax, `"eq" at position 1 comes where a comparison is expected`},
		"and first":                   {`and launcher eq "a"`, syntax, `"and" at position 1 comes where a comparison is expected`},
		"and twice":                   {`id eq a and and id eq b`, syntax, `"and" at position 13 comes where a comparison is expected`},
		"trailing and":                {`launcher eq "a" and`, syntax, `the end at position 20 comes where a comparison is expected`},
		"trailing or, with space":     {`launcher eq "a" or  `, syntax, `the end at position 21 comes where a comparison is expected`},
		"not alone":                   {`not`, syntax, `the end at position 4 comes where a comparison is expected`},
		"empty parentheses":           {`()`, syntax, `")" at position 2 comes where a comparison is expected`},
		"a comma":                     {`,`, syntax, `"," at position 1 comes where a comparison is expected`},
		"two expressions":             {`launcher eq "a" launcher eq "b"`, syntax, `"launcher" at position 17 comes where "and", "or" or the end is expected`},
		"two expressions, in )":       {`(launcher eq "a" launcher eq "b")`, syntax, `"launcher" at position 18 comes where "and", "or" or ")" is expected`},
		"two values":                  {`launcher eq "a" "b"`, syntax, `the value "b" at position 17 comes where "and", "or" or the end is expected`},
		"two values that touch":       {`launcher eq "a""b"`, syntax, `the value "b" at position 16 comes where "and", "or" or the end is expected`},
		"a value after isnull":        {`completionStatus isnull "a"`, syntax, `the value "a" at position 25 comes where "and", "or" or the end is expected`},
		"a parenthesis after":         {`launcher eq "a" (`, syntax, `"(" at position 17 comes where "and", "or" or the end is expected`},
		"unclosed parenthesis":        {`(launcher eq "a"`, syntax, `the parenthesis that opens at position 1 is not closed`},
		"unclosed inner parenthesis":  {`(id eq a or (id eq b)`, syntax, `the parenthesis that opens at position 1 is not closed`},
		"unopened parenthesis":        {`launcher eq "a")`, syntax, `")" at position 16 closes nothing`},
		"a comma between comparisons": {`id eq a, id eq b`, syntax, `"," at position 8 comes where "and", "or" or the end is expected`},
		// Case.
		"EQ":     {`launcher EQ "a"`, syntax, `"EQ" at position 10 must be lower case: eq`},
		"In":     {`launcher In ("a")`, syntax, `"In" at position 10 must be lower case: in`},
		"IsNull": {`completionStatus IsNull`, syntax, `"IsNull" at position 18 must be lower case: isnull`},
		"AND":    {`launcher eq "a" AND launcher eq "b"`, syntax, `"AND" at position 17 must be lower case: and`},
		"Or":     {`launcher eq a Or launcher eq "b"`, syntax, `"Or" at position 15 must be lower case: or`},
		"NOT":    {`NOT launcher eq "a"`, syntax, `"NOT" at position 1 must be lower case: not`},
		"PR":     {`PR completionStatus`, syntax, `"PR" at position 1 must be lower case: pr`},
		// Operators.
		"not before the operator":   {`completionStatus not isnull`, syntax, `"not" at position 18 is not an operator: not stands before the field`},
		"is null":                   {`completionStatus is null`, syntax, `"is" at position 18 is not an operator` + ops},
		"equals":                    {`launcher equals "a"`, syntax, `"equals" at position 10 is not an operator` + ops},
		"no operator":               {`launcher "a"`, syntax, `the value "a" at position 10 comes where an operator is expected` + ops},
		"no operator before and":    {`launcher and id eq a`, syntax, `"and" at position 10 comes where an operator is expected` + ops},
		"no operator before (":      {`launcher ("a")`, syntax, `"(" at position 10 comes where an operator is expected` + ops},
		"pr after its field":        {`completionStatus pr`, syntax, `"pr" at position 18 stands before its field: pr completionStatus`},
		"pr of nothing":             {`pr`, syntax, `the end at position 3 comes where a comparison is expected`},
		"pr of parentheses":         {`pr (completionStatus)`, syntax, `"(" at position 4 comes where a comparison is expected`},
		"pr":                        {`pr completionStatus`, content, `the operator "pr" at position 1 is not allowed on completionStatus: eq, in, isnull; write: not completionStatus isnull`},
		"pr launcher":               {`pr launcher`, content, `the operator "pr" at position 1 is not allowed on launcher: eq, in`},
		"sw":                        {`launcher sw "a"`, content, `the operator "sw" at position 10 is not allowed on launcher: eq, in`},
		"ne":                        {`type ne "IDENTITY_REFRESH"`, content, `the operator "ne" at position 6 is not allowed on type: eq, in; write: not type eq`},
		"isnull on launcher":        {`launcher isnull`, content, `the operator "isnull" at position 10 is not allowed on launcher: eq, in`},
		"isnull on sourceId":        {`id eq "ä" and sourceId isnull`, content, `the operator "isnull" at position 24 is not allowed on sourceId: eq, in`},
		"one value in parentheses":  {`launcher eq ("a")`, syntax, `"(" at position 13 comes where one value is expected; a list needs in`},
		"in without parentheses":    {`launcher in "a"`, syntax, `the value "a" at position 13 comes where a list is expected; it is written in ("A", "B")`},
		"in, then the end":          {`launcher in`, syntax, `the end at position 12 comes where a list is expected; it is written in ("A", "B")`},
		"a symbol for an operator":  {`launcher = "a"`, syntax, `the character "=" at position 10 is not expected; operators are words: eq, in, isnull and not`},
		"a symbol for and":          {`id eq a && id eq b`, syntax, `the character "&" at position 9 is not expected; write and`},
		"a symbol for or":           {`id eq a | id eq b`, syntax, `the character "|" at position 9 is not expected; write or`},
		"a word that not runs into": {`notlauncher eq "a"`, content, `"notlauncher" at position 1 is not a field to filter on: ` + fields},
		"a keyword run into":        {`id eq a andid eq b`, syntax, `"andid" at position 9 ` + spaces},
		// Fields.
		"target.id":                {`target.id eq "x"`, content, `"target.id" at position 1 is not a field to filter on: ` + fields + `; write: sourceId`},
		"the wrong case":           {`SOURCEID eq "x"`, content, `"SOURCEID" at position 1 is not a field to filter on: ` + fields + `; write: sourceId`},
		"kind":                     {`Kind eq "x"`, content, `"Kind" at position 1 is not a field to filter on: ` + fields + `; write: type`},
		"created":                  {`created gt 2026-01-01T00:00:00Z`, content, `"created" at position 1 is not a field to filter on: ` + fields + `; it can only be sorted on`},
		"an unknown field":         {`  owner isnull`, content, `"owner" at position 3 is not a field to filter on: ` + fields},
		"pr of an unknown field":   {`pr owner`, content, `"owner" at position 4 is not a field to filter on: ` + fields},
		"the first of two faults":  {`owner eq "a" and launcher sw "b"`, content, `"owner" at position 1 is not a field to filter on: ` + fields},
		"syntax before meaning":    {`owner eq "a" and launcher sw`, syntax, `the end at position 29 comes where a value is expected`},
		"a field with a long name": {strings.Repeat("é", 100) + ` eq "a"`, content, `"` + strings.Repeat("é", 64) + `…" at position 1 is not a field to filter on: ` + fields},
		// Values.
		"no value":                  {`launcher eq`, syntax, `the end at position 12 comes where a value is expected`},
		"a keyword for a value":     {`launcher eq and`, syntax, `"and" at position 13 comes where a value is expected; as a value this word needs double quotes`},
		"an operator for a value":   {`launcher in (a, ISNULL)`, syntax, `"ISNULL" at position 17 comes where a value is expected; as a value this word needs double quotes`},
		"no value before and":       {`launcher eq and id eq a`, syntax, `"and" at position 13 comes where a value is expected; as a value this word needs double quotes`},
		"bare words":                {`type eq Cloud Account Aggregation`, syntax, `"Account" at position 15 ` + spaces},
		"bare words in a list":      {`type in (Cloud Account Aggregation)`, syntax, `"Account" at position 16 ` + spaces},
		"single quotes":             {`launcher eq 'a'`, syntax, `the character "'" at position 13 is not expected; only " is a quote`},
		"curly quotes":              {`launcher eq “a”`, syntax, `the character "“" at position 13 is not expected; only " is a quote`},
		"an e-mail address":         {`launcher eq zoë@example.com`, syntax, `the character "@" at position 16 is not expected; a value with it needs double quotes`},
		"a control character":       {"launcher eq a\x01", syntax, `the character that stands at position 14 is not one that can be seen; a value with it needs double quotes`},
		"an emoji":                  {"launcher eq 😀", syntax, `the character "😀" at position 13 is not expected; a value with it needs double quotes`},
		"unclosed quote":            {`launcher eq "a`, syntax, `the quote that opens at position 13 is not closed`},
		"a quote at the end":        {`launcher eq "`, syntax, `the quote that opens at position 13 is not closed`},
		"a backslash at the end":    {`launcher eq "a\`, syntax, `the quote that opens at position 13 is not closed`},
		"an escaped closing quote":  {`launcher eq "ä\"`, syntax, `the quote that opens at position 13 is not closed; \" in it is a quote that belongs to the value`},
		"three quotes":              {`launcher eq """`, syntax, `the quote that opens at position 15 is not closed`},
		"empty list":                {`launcher in ()`, syntax, `")" at position 14 comes where a value is expected`},
		"trailing comma":            {`launcher in ("a",)`, syntax, `")" at position 18 comes where a value is expected`},
		"leading comma":             {`launcher in (,"a")`, syntax, `"," at position 14 comes where a value is expected`},
		"two commas":                {`launcher in ("a",,"b")`, syntax, `"," at position 18 comes where a value is expected`},
		"no comma":                  {`launcher in ("A" "B")`, syntax, `the value "B" at position 18 comes where "," or ")" is expected`},
		"nested list":               {`launcher in (("A"))`, syntax, `"(" at position 14 comes where a value is expected`},
		"and in a list":             {`launcher in ("A" and "B")`, syntax, `"and" at position 18 comes where "," or ")" is expected`},
		"unclosed list":             {`launcher in ("A"`, syntax, `the list that opens at position 13 is not closed`},
		"unclosed list, comma":      {`launcher in ("A",`, syntax, `the end at position 18 comes where a value is expected`},
		"unknown kind":              {`type eq "NO_SUCH_KIND"`, illegal, `"NO_SUCH_KIND" at position 9 is not a known type: ` + kinds},
		"empty kind":                {`type eq ""`, illegal, `"" at position 9 is not a known type: ` + kinds},
		"kind with a Unicode fold":  {`type eq "ıDENTITY_REFRESH"`, illegal, `"ıDENTITY_REFRESH" at position 9 is not a known type: ` + kinds},
		"kind with a Unicode lower": {`type eq "İDENTITY_REFRESH"`, illegal, `"İDENTITY_REFRESH" at position 9 is not a known type: ` + kinds},
		"kind with another À":       {`type eq "sauvegarde À minuit"`, illegal, `"sauvegarde À minuit" at position 9 is not a known type: ` + kinds},
		"type with a Kelvin sign":   {"type in (qpoc, \"QUEUED_TAS\u212a\")", illegal, "\"QUEUED_TAS\u212a\" at position 16 is not a known type: " + kinds},
		"kind with a space":         {`type eq " IDENTITY_REFRESH"`, illegal, `" IDENTITY_REFRESH" at position 9 is not a known type: ` + kinds},
		"second kind of a list":     {`type in ("QPOC", "X", "Y")`, illegal, `"X" at position 18 is not a known type: ` + kinds},
		"unknown status":            {`completionStatus eq "DONE"`, illegal, `"DONE" at position 21 ` + statuses},
		"status with a long s":      {`completionStatus eq "ſuccess"`, illegal, `"ſuccess" at position 21 ` + statuses},
		"status null in quotes":     {`completionStatus eq "null"`, illegal, `"null" at position 21 ` + statuses + inProgress},
		"status null":               {`completionStatus eq null`, illegal, `"null" at position 21 is not a value; write: completionStatus isnull`},
		"status NULL in a list":     {`completionStatus in ("ERROR", NULL)`, illegal, `"NULL" at position 31 is not a value; write: completionStatus isnull`},
		"empty status":              {`completionStatus eq ""`, illegal, `"" at position 21 ` + statuses + inProgress},
		"launcher null":             {`launcher eq null`, illegal, `"null" at position 13 is not a value; as a text it needs double quotes`},
		// What no text may hold.
		"NUL":            {"launcher eq \"ä\x00\"", illegal, `the character U+0000 at position 15 is not allowed`},
		"invalid UTF-8":  {"launcher eq \"ä\xff\"", syntax, `the text at position 15 is not valid UTF-8`},
		"cut UTF-8":      {"launcher eq \"ä\xc3", syntax, `the text at position 15 is not valid UTF-8`},
		"lone surrogate": {"launcher eq \"\xed\xa0\x80\"", syntax, `the text at position 14 is not valid UTF-8`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := tasksTable().ParseFilter(test.filter)
			wantError(t, err, test.kind, "filters", test.want)
			if e != nil {
				t.Errorf("an expression beside the error: %v", e)
			}
		})
	}
}

func wantError(t *testing.T, err error, kind task.ErrorKind, field, msg string) {
	t.Helper()
	e, ok := errors.AsType[*task.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *task.Error", err)
	}
	if e.Kind != kind || e.Field != field || e.Msg != msg {
		t.Errorf("got kind %d about %q:\n%s\nwant kind %d about %q:\n%s", e.Kind, e.Field, e.Msg, kind, field, msg)
	}
}

func TestFilterBounds(t *testing.T) {
	t.Parallel()
	list := func(n int) string { return `launcher in (` + strings.Repeat(`"a",`, n-1) + `"a")` }
	nested := func(open string, n int) string {
		return strings.Repeat(open, n) + `launcher eq "a"` + strings.Repeat(")", strings.Count(open, "(")*n)
	}
	padded := func(n int) string { return strings.Repeat(" ", n-len(`id eq a`)) + `id eq a` }
	const deep = ` nests deeper than 64 levels`
	for name, test := range map[string]struct{ filter, want string }{
		"500 values":                       {list(500), ""},
		"501 values":                       {list(501), `the list that opens at position 13 holds more than 500 values`},
		"500 values and a comma":           {`launcher in (` + strings.Repeat(`"a",`, 500) + `)`, `")" at position 2014 comes where a value is expected`},
		"501 values after a fault":         {`owner eq "a" or ` + list(501), `the list that opens at position 29 holds more than 500 values`},
		"501 kinds and types":              {`type in (` + strings.Repeat(`qpoc,identity_refresh,`, 250) + `qpoc)`, `the list that opens at position 9 holds more than 500 values`},
		"500 ids":                          {`id in ("` + strings.Repeat(someID+`","`, 499) + someID + `")`, ""},
		"64 parentheses":                   {nested("(", 64), ""},
		"65 parentheses":                   {nested("(", 65), `"(" at position 65` + deep},
		"64 nots":                          {nested("not ", 64), ""},
		"65 nots":                          {nested("not ", 65), `"not" at position 257` + deep},
		"32 nots of parentheses":           {nested("not (", 32), ""},
		"33 nots of parentheses":           {nested("not (", 33), `"not" at position 161` + deep},
		"64 nots of a list of two fields":  {strings.Repeat("not ", 64) + `type in (qpoc, identity_refresh)`, ""},
		"64 parentheses, one after one":    {strings.Repeat(`(id eq a) and `, 65) + `id eq a`, ""},
		"64 parentheses, again and again":  {strings.Repeat(nested("(", 64)+" or ", 9) + nested("not ", 64), ""},
		"32 KiB":                           {padded(32 << 10), ""},
		"32 KiB and one":                   {padded(32<<10 + 1), `32769 bytes are too many: at most 32768 (32 KiB)`},
		"32 KiB and one, before its UTF-8": {strings.Repeat("\xff", 32<<10+1), `32769 bytes are too many: at most 32768 (32 KiB)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := tasksTable().ParseFilter(test.filter)
			if test.want != "" {
				kind := task.IllegalValue
				if strings.Contains(test.want, "comes where") {
					kind = task.Syntax
				}
				wantError(t, err, kind, "filters", test.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again, err := tasksTable().ParseFilter(e.String())
			if err != nil {
				t.Fatalf("the canonical text does not parse: %v", err)
			}
			if diff := cmp.Diff(e, again); diff != "" {
				t.Errorf("the canonical text means something else (-want +got):\n%s", diff)
			}
		})
	}
}
