package query

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"stint/internal/task"
)

// workFor is what parsing n bytes may take: a few steps a byte, however they are
// put together.
func workFor(n int) int { return 6*n + 16 }

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{
		"", " ", `""`, `id eq a`, `not(not completionStatus isnull)`, `launcher in ("a\"","b\\",c,"d\e")`, `type in (qpoc,"Identity Refresh")`,
		`sourceId eq"x"and(type eq"a"or not launcher eq b)`, `pr id`, `target.id eq "x"`, `id EQ "a"`, `completionStatus eq null`, "id eq \"\x00\"",
		`attributes."a\"b" eq x and attributes.c isnull`, `attributes."x`, `attributes.""`, `name sw "a" or not nativeIdentity sw b`,
		`created gt 2026-11-24 or not created le "2026-11-24 23:40:50,1234+01"`, `created ge 1764027650123 and created lt -1`,
		"id eq \"\xff\"", "id\u00a0eq 'a'", strings.Repeat("(", 70), strings.Repeat("not ", 70), "launcher eq Zoe\u0308",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		for _, table := range tables() {
			checkFilter(t, table, input)
		}
	})
}

func checkFilter(t *testing.T, table *Table, input string) {
	t.Helper()
	p := parser{lexer: lexer{input: input}, table: table}
	e, err := p.parse()
	if p.work > workFor(len(input)) {
		t.Fatalf("%d steps for %d bytes", p.work, len(input))
	}
	if err != nil {
		checkFilterError(t, input, err)
		return
	}
	checkText := func(text string) Expr {
		again, err := table.ParseFilter(text)
		if err != nil {
			t.Fatalf("%s does not parse: %v", text, err)
		}
		return again
	}
	if e == nil {
		return
	}
	canonical := e.String()
	if len(canonical) > MaxFilterBytes {
		return
	}
	again := checkText(canonical)
	if !reflect.DeepEqual(e, again) {
		t.Fatalf("%s\nmeans something else than\n%s", canonical, input)
	}
	if stable := again.String(); stable != canonical {
		t.Fatalf("%s\nbecomes\n%s", canonical, stable)
	}
	values := TaskValues(&task.Task{ID: "9315df387ad16c4920c947a67932c2a4", Kind: task.IdentityRefresh, Type: task.QPOC, Launcher: "a"})
	if Match(e, values) == Match(Not{e}, values) {
		t.Fatalf("%s is not two-valued", canonical)
	}
}

func checkFilterError(t *testing.T, input string, err error) {
	t.Helper()
	e, ok := errors.AsType[*task.Error](err)
	switch {
	case !ok || e.Field != "filters":
		t.Fatalf("an error that names no parameter: %v", err)
	case e.Kind != task.Syntax && e.Kind != task.Content && e.Kind != task.IllegalValue:
		t.Fatalf("an error of kind %d: %v", e.Kind, err)
	case len(input) <= MaxFilterBytes && !strings.Contains(e.Msg, " at position "):
		t.Fatalf("an error without a position: %v", err)
	case len(e.Msg) > 2000:
		t.Fatalf("an error of %d bytes", len(e.Msg))
	}
}

func FuzzParsePage(f *testing.F) {
	for _, seed := range []string{
		"", "&", "limit=5&offset=3&count=true&sorters=-created&filters=id+eq+%22a%22", "limit=5;offset=3", "filters=%zz", "%", "foo=%00",
		"limit=&limit=5", "limit=5&l%69mit=5", "sorters=created,-created", "count=T", "filters=%ff", "filters=%00", "limit=250", "limit=251",
		"cursor=x", "offset=1&cursor=" + Position{ID: "9315df387ad16c4920c947a67932c2a4"}.Cursor(Sorter{Field: FieldCreated, Desc: true}),
		"sorters=durationMs&cursor=" + Position{Value: new("-7"), ID: "9315df387ad16c4920c947a67932c2a4"}.Cursor(Sorter{Field: FieldDuration}),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rawQuery string) {
		for _, table := range []*Table{Tasks(task.NewCatalog()), StintTasks(task.NewCatalog())} {
			checkPage(t, table, rawQuery)
		}
	})
}

func checkPage(t *testing.T, table *Table, rawQuery string) {
	t.Helper()
	page, err := table.ParsePage(rawQuery)
	if err != nil {
		e, ok := errors.AsType[*task.Error](err)
		if !ok || e.Field == "" || e.Msg == "" || len(e.Text()) > 3000 {
			t.Fatalf("an error that names no parameter, or too much: %v", err)
		}
		return
	}
	if page.Limit < 0 || page.Limit > MaxLimit || page.Offset < 0 || page.Offset > MaxOffset || len(page.Sort) != 1 {
		t.Fatalf("a page out of range: %+v", page)
	}
	if page.After == nil {
		return
	}
	again, err := parsePosition(page.After.Cursor(page.Sort[0]), page.Sort[0])
	if err != nil || !reflect.DeepEqual(again, page.After) || page.Offset != 0 {
		t.Fatalf("the position %+v comes back as %+v, %v", page.After, again, err)
	}
}

// TestWorkIsLinear parses what is worst of its kind, at the bound.
func TestWorkIsLinear(t *testing.T) {
	t.Parallel()
	const most = MaxFilterBytes
	fill := func(s string) string { return strings.Repeat(s, most/len(s)) }
	for name, input := range map[string]string{
		"parentheses":           fill("("),
		"closing ones":          fill(")"),
		"both":                  fill("()"),
		"not":                   fill("not "),
		"quotes":                fill(`"`),
		"backslashes":           `id eq "` + strings.Repeat(`\`, most-8) + `"`,
		"commas":                fill(","),
		"one word":              fill("a"),
		"one word of marks":     fill("\u0308"),
		"white space":           fill("\u3000"),
		"terms":                 fill(`id eq "" and `),
		"short terms":           fill(`id eq a or `),
		"unknown fields":        fill(`x eq a or `),
		"terms of unknown kind": fill(`type eq a or `),
		"attributes":            fill(`attributes."a" eq a or `),
		"attributes' quotes":    fill(`attributes."`),
		"lists":                 fill(`type in (qpoc,a) or `),
		"deep again and again":  fill(strings.Repeat("(", 64) + "id eq a" + strings.Repeat(")", 64) + " or "),
		"a list":                `launcher in (` + fill(`"a",`)[:most-20] + `"a")`,
		"NULs":                  fill("\x00"),
		"no UTF-8":              fill("\xff"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := parser{lexer: lexer{input: input}, table: Tasks(task.NewCatalog())}
			if _, err := p.parse(); err != nil {
				checkFilterError(t, input, err)
			}
			if p.work > workFor(len(input)) {
				t.Errorf("%d steps for %d bytes", p.work, len(input))
			}
		})
	}
}

// TestRicherTable shows that the parser knows the operators that the narrow table
// does not allow.
func TestRicherTable(t *testing.T) {
	t.Parallel()
	all := []operator{opEq, opNe, opIn, opIsNull, opPr}
	table := &Table{
		fields: []field{
			{word: "launcher", columns: []Field{FieldLauncher}, operators: all, resolve: verbatim(FieldLauncher)},
			{word: "type", columns: []Field{FieldKind, FieldType}, operators: all, resolve: resolveType(task.NewCatalog())},
		},
		sorts: []Field{FieldCreated, FieldLauncher},
		order: Sorter{Field: FieldLauncher},
	}
	for filter, want := range map[string]string{
		`launcher ne "a"`:                   `not launcher eq "a"`,
		`launcher isnull and pr launcher`:   `launcher isnull and not launcher isnull`,
		`type ne QPOC`:                      `not type eq "QPOC"`,
		`not pr launcher or launcher in(a)`: `not not launcher isnull or launcher eq "a"`,
	} {
		e, err := table.ParseFilter(filter)
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		if e.String() != want {
			t.Errorf("%s: got %s, want %s", filter, e, want)
		}
	}
	for filter, want := range map[string]string{
		`launcher co "a"`:    `filters: the operator "co" at position 10 is not allowed on launcher: eq, ne, in, isnull, pr`,
		`launcher ne ("a")`:  `filters: "(" at position 13 comes where one value is expected; a list needs in`,
		`launcher pr`:        `filters: "pr" at position 10 stands before its field: pr launcher`,
		`launcher is "x"`:    `filters: "is" at position 10 is not an operator; the operators are eq, ne, in, isnull, pr`,
		`launcher eq null`:   `filters: "null" at position 13 is not a value; write: launcher isnull`,
		`completionStatus`:   `filters: the end at position 17 comes where an operator is expected; the operators are eq, ne, in, isnull, pr`,
		`sourceId eq "sour"`: `filters: "sourceId" at position 1 is not a field to filter on: launcher, type`,
	} {
		if _, err := table.ParseFilter(filter); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", filter, err, want)
		}
	}
	page, err := table.ParsePage("sorters=-launcher,+created")
	if want := []Sorter{{FieldLauncher, true}, {FieldCreated, false}}; err != nil || !reflect.DeepEqual(page.Sort, want) {
		t.Errorf("sorters: got %v, %v", page.Sort, err)
	}
}

func tables() []*Table {
	return []*Table{Tasks(task.NewCatalog()), Sources(), Accounts(), Entitlements(), Changes(), Audit()}
}

// TestTablesAreComplete holds every table against what build can make.
func TestTablesAreComplete(t *testing.T) {
	t.Parallel()
	for _, table := range tables() {
		fields := table.fields
		if f, ok := table.field("attributes.a"); ok {
			fields = append(slices.Clone(fields), *f)
		}
		for _, f := range fields {
			for _, op := range f.operators {
				build(op, f.columns, []operand{{field: f.columns[0], value: "a"}})
				if _, ok := f.hints[op]; ok {
					t.Errorf("%s: a hint for %s, which is allowed", f.word, op)
				}
			}
			if reserved(f.word) {
				t.Errorf("%s is a word of the grammar", f.word)
			}
		}
	}
}

func BenchmarkParseFilter500IDs(b *testing.B) {
	table := Tasks(task.NewCatalog())
	const id = "9315df387ad16c4920c947a67932c2a4"
	filter := `id in ("` + strings.Repeat(id+`", "`, MaxListValues-1) + id + `") and completionStatus isnull`
	b.SetBytes(int64(len(filter)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := table.ParseFilter(filter); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch500IDs(b *testing.B) {
	table := Tasks(task.NewCatalog())
	const id = "9315df387ad16c4920c947a67932c2a4"
	e, err := table.ParseFilter(`id in ("` + strings.Repeat(id+`", "`, MaxListValues-1) + id + `")`)
	if err != nil {
		b.Fatal(err)
	}
	values := TaskValues(&task.Task{ID: "9315df387ad16c4920c947a67932c2a5"})
	b.ReportAllocs()
	for b.Loop() {
		if Match(e, values) {
			b.Fatal("matches")
		}
	}
}
