// Package querytest generates tasks, accounts, entitlements and filters for
// property tests: of the filter language, and of stores, which must select what
// query.Match accepts.
//
// It owns the choice of values that break things: nulls, mixed case, characters
// that fold to ASCII in Unicode but not here, quotes, backslashes, the wild
// cards and parameters of SQL, and equal times. It does not own any rule. All
// that it generates is valid: tasks pass Task.Validate, filters parse back from
// their text.
package querytest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"stint/internal/query"
	"stint/internal/task"
)

// Task generates a task. Two of them may have the same id; see Tasks.
func Task() *rapid.Generator[task.Task] { return rapid.Custom(drawTask) }

// Tasks generates tasks of different ids.
func Tasks(least, most int) *rapid.Generator[[]task.Task] {
	return rapid.SliceOfNDistinct(Task(), least, most, func(t task.Task) task.ID { return t.ID })
}

// Expr generates a filter that /stint/v1/tasks can be asked for. Most of its
// values are those of the given tasks, in another case now and then, so that it
// selects some and not all.
func Expr(tasks ...task.Task) *rapid.Generator[query.Expr] {
	return rapid.Custom(func(t *rapid.T) query.Expr { return drawExpr(t, tasks, 3) })
}

// Sort generates what /stint/v1/tasks can be sorted on: half of the time what
// /task-status/v1 can.
func Sort() *rapid.Generator[[]query.Sorter] {
	return rapid.Custom(func(t *rapid.T) []query.Sorter {
		f := rapid.OneOf(rapid.Just(query.FieldCreated), rapid.SampledFrom([]query.Field{
			query.FieldCompleted, query.FieldDuration, query.FieldUniqueName, query.FieldTargetName, query.FieldLauncher,
			query.FieldKind, query.FieldStatus,
		})).Draw(t, "sorted on")
		return []query.Sorter{{Field: f, Desc: rapid.Bool().Draw(t, "descending")}}
	})
}

func drawTask(t *rapid.T) task.Task {
	id := idGenerator().Draw(t, "id")
	definition := rapid.SampledFrom(task.NewCatalog().Definitions()).Draw(t, "definition")
	created := createdGenerator().Draw(t, "created")
	made := task.Task{
		ID: id, Type: rapid.SampledFrom(task.Types()).Draw(t, "type"), Kind: definition.Kind,
		UniqueName: textGenerator().Draw(t, "unique name"), Launcher: textGenerator().Draw(t, "launcher"),
		Created: created, Modified: created, Attempt: 1,
	}
	if rapid.Bool().Draw(t, "has a source") {
		made.SourceID = textGenerator().Draw(t, "source")
	}
	if rapid.Bool().Draw(t, "has a description") {
		made.Description = textGenerator().Draw(t, "description")
	}
	if rapid.Bool().Draw(t, "has a target") {
		made.Target = &task.Target{ID: textGenerator().Draw(t, "target"), Name: textGenerator().Draw(t, "target's name")}
	}
	if rapid.Bool().Draw(t, "has started") {
		made.Launched = later(t, created)
		made.Modified = made.Launched
		made.PercentComplete = rapid.IntRange(0, 100).Draw(t, "percent")
	}
	if rapid.Bool().Draw(t, "is complete") {
		made.Status = rapid.SampledFrom(task.CompletionStatuses()).Draw(t, "status")
		made.Completed = later(t, made.Modified)
		made.Modified = made.Completed
	}
	return made
}

func later(t *rapid.T, from time.Time) time.Time {
	return from.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms later")) * time.Millisecond)
}

func idGenerator() *rapid.Generator[task.ID] {
	return rapid.Custom(func(t *rapid.T) task.ID {
		return task.ID(fmt.Sprintf("%016x%016x", rapid.Uint64().Draw(t, "high"), rapid.Uint64().Draw(t, "low")))
	})
}

// createdGenerator prefers equal times, times a millisecond apart, and those
// around powers of two, where spans of counting begin.
func createdGenerator() *rapid.Generator[time.Time] {
	base := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).UnixMilli() >> 31 << 31
	return rapid.Map(rapid.SampledFrom([]int64{
		base, base, base + 1, base - 1, base + 999, base + 1<<19 - 1, base + 1<<19, base + 1<<25 - 1, base + 1<<25,
		base + 1<<31 - 1, base + 1<<31, base + 12345678, base - 87654321, 0, 1,
	}), func(ms int64) time.Time { return time.UnixMilli(ms).UTC() })
}

// textGenerator generates texts of 1 to 256 characters, none of them U+0000.
func textGenerator() *rapid.Generator[string] {
	anything := rapid.Map(rapid.StringN(1, 12, -1), func(s string) string { return strings.ReplaceAll(s, "\x00", "0") })
	// The pool comes twice, so that most texts meet another of their like.
	return rapid.OneOf(rapid.SampledFrom(texts()), rapid.SampledFrom(texts()), anything)
}

// texts returns texts that something has gone wrong with, many of them equal to
// another in the ASCII fold, or only in a wider one.
func texts() []string {
	return []string{
		"System", "system", "SYSTEM", "sweep", "Sweep", "a", "A", "b", "null", "NULL", "and", "not", "0", "1", "true",
		"Zoë O'Neil", "zoë o'neil", "ZOË O'NEIL", "é", "É", "e\u0301", "straße", "STRASSE", "ſystem", "K", "\u212a", "k", "İ", "i", "I", "ı",
		"σ", "ς", "Σ", "Ǆ", "ǅ", "ǆ", "日本語", "😀", "\U0010ffff", "\ufeff", "\u200b", "\u00a0", "\ufffd",
		`"`, `""`, `\`, `\\`, `\"`, `"\`, `svc "nightly"`, `SVC "Nightly"`, `back\slash`, `BACK\SLASH`, `a\`, `\n`, "'", "''", "`",
		"%", "%%", "a%", "A%", "_", "a_", "a_c", "abc", "*", "a*", "?", "?1", "$1", ":a", "@a", "[a]", "^", "~", "{", "[", "Z", "z", "@", "\x7f",
		" ", "  ", " a", "a ", "a b", "a\tb", "a\nb", "\r\n", ",", "a,b", "(", ")", "a)", ";", "--", "/*", "x' or 1=1 --", "#", "&", "+", "=",
		"20f9290025cb3783768c9c8c4686078c", "20F9290025CB3783768C9C8C4686078C", "2c918085-74c1-1cc3-0174-c1cc30f30004",
		strings.Repeat("x", 256), strings.Repeat("X", 256), strings.Repeat("é", 256),
	}
}

func drawExpr(t *rapid.T, tasks []task.Task, depth int) query.Expr {
	return drawTree(t, depth, func(t *rapid.T) query.Expr { return drawLeaf(t, tasks) })
}

// drawTree draws a filter whose comparisons leaf draws.
func drawTree(t *rapid.T, depth int, leaf func(*rapid.T) query.Expr) query.Expr {
	shape := 0
	if depth > 0 {
		shape = rapid.IntRange(-2, 3).Draw(t, "shape")
	}
	switch shape {
	case 1:
		return query.Not{Term: drawTree(t, depth-1, leaf)}
	case 2:
		return query.And{Terms: drawTerms(t, depth-1, leaf)}
	case 3:
		return query.Or{Terms: drawTerms(t, depth-1, leaf)}
	}
	return leaf(t)
}

func drawTerms(t *rapid.T, depth int, leaf func(*rapid.T) query.Expr) []query.Expr {
	terms := make([]query.Expr, rapid.IntRange(2, 4).Draw(t, "terms"))
	for i := range terms {
		terms[i] = drawTree(t, depth, leaf)
	}
	return terms
}

func drawLeaf(t *rapid.T, tasks []task.Task) query.Expr {
	switch rapid.IntRange(0, 5).Draw(t, "comparison") {
	case 1:
		return query.Null{Field: rapid.SampledFrom([]query.Field{
			query.FieldStatus, query.FieldStatus, query.FieldSource, query.FieldLaunched, query.FieldCompleted,
			query.FieldTargetID, query.FieldTargetName, query.FieldDuration,
		}).Draw(t, "null")}
	case 2:
		return drawTypes(t, tasks)
	case 3:
		return drawOrdered(t, tasks)
	case 4:
		return drawPart(t, tasks)
	}
	f := rapid.SampledFrom([]query.Field{
		query.FieldID, query.FieldSource, query.FieldStatus, query.FieldKind, query.FieldType, query.FieldLauncher,
		query.FieldUniqueName, query.FieldTargetID, query.FieldTargetName, query.FieldDescription,
	}).Draw(t, "field")
	return drawCompare(t, tasks, f)
}

// drawOrdered draws a comparison of a time or a number.
func drawOrdered(t *rapid.T, tasks []task.Task) query.Expr {
	f := rapid.SampledFrom([]query.Field{
		query.FieldCreated, query.FieldCreated, query.FieldLaunched, query.FieldCompleted, query.FieldModified,
		query.FieldPercent, query.FieldDuration,
	}).Draw(t, "ordered")
	if f.IsNumber() && rapid.Bool().Draw(t, "equal") {
		// Numbers have no lists.
		return query.Compare{Field: f, Values: []string{valueGenerator(tasks, f).Draw(t, "value")}}
	}
	order := rapid.SampledFrom([]query.Order{query.After, query.NotLess, query.Before, query.NotAfter}).Draw(t, "order")
	return query.Range{Field: f, Order: order, Value: valueGenerator(tasks, f).Draw(t, "value")}
}

// drawPart draws a comparison with a part of a text.
func drawPart(t *rapid.T, tasks []task.Task) query.Expr {
	f := rapid.SampledFrom([]query.Field{
		query.FieldSource, query.FieldLauncher, query.FieldUniqueName, query.FieldDescription, query.FieldTargetID, query.FieldTargetName,
	}).Draw(t, "text")
	whole := valueGenerator(tasks, f).Draw(t, "like")
	if rapid.Bool().Draw(t, "begins") {
		return query.Prefix{Field: f, Value: whole[:drawCut(t, whole)]}
	}
	rest := whole[drawCut(t, whole):]
	return query.Contains{Field: f, Value: rest[:drawCut(t, rest)]}
}

// drawCut draws where a text is cut, so that what is left is still characters.
func drawCut(t *rapid.T, whole string) int {
	return rapid.IntRange(0, len(whole)).Filter(func(n int) bool { return utf8.ValidString(whole[:n]) && utf8.ValidString(whole[n:]) }).Draw(t, "length")
}

// drawTypes draws what a list of kinds and body types is resolved to.
func drawTypes(t *rapid.T, tasks []task.Task) query.Expr {
	return query.Or{Terms: []query.Expr{drawCompare(t, tasks, query.FieldKind), drawCompare(t, tasks, query.FieldType)}}
}

func drawCompare(t *rapid.T, tasks []task.Task, f query.Field) query.Compare {
	return query.Compare{Field: f, Values: drawValues(t, f, valueGenerator(tasks, f))}
}

// drawValues draws a few values, and now and then many.
func drawValues(t *rapid.T, f query.Field, of *rapid.Generator[string]) []string {
	most := 5
	if rapid.IntRange(0, 9).Draw(t, "many") == 9 {
		most = 60
	}
	return rapid.SliceOfN(of, 1, most).Draw(t, "values of "+string(f))
}

// valueGenerator generates canonical values of a field.
func valueGenerator(tasks []task.Task, f query.Field) *rapid.Generator[string] {
	var present []string
	for i := range tasks {
		if v, ok := query.TaskValues(&tasks[i])(f); ok {
			present = append(present, v)
		}
	}
	unknown := unknownGenerator(f)
	if len(present) == 0 {
		return unknown
	}
	known := rapid.SampledFrom(present)
	if isText(f) {
		known = rapid.OneOf(known, rapid.Map(known, swapCase))
	}
	return rapid.OneOf(known, known, unknown)
}

func isText(f query.Field) bool {
	switch f {
	case query.FieldSource, query.FieldLauncher, query.FieldUniqueName, query.FieldDescription, query.FieldTargetID, query.FieldTargetName:
		return true
	}
	return false
}

func unknownGenerator(f query.Field) *rapid.Generator[string] {
	switch f {
	case query.FieldStatus:
		return rapid.Map(rapid.SampledFrom(task.CompletionStatuses()), asString)
	case query.FieldKind:
		return rapid.SampledFrom(task.NewCatalog().Kinds())
	case query.FieldType:
		return rapid.Map(rapid.SampledFrom(task.Types()), asString)
	case query.FieldID:
		return rapid.OneOf(rapid.Map(idGenerator(), asString), rapid.Map(textGenerator(), notID), rapid.Just(""))
	case query.FieldCreated, query.FieldLaunched, query.FieldCompleted, query.FieldModified:
		return rapid.Map(createdGenerator(), task.FormatTime)
	case query.FieldPercent, query.FieldDuration:
		return rapid.Map(rapid.SampledFrom([]int{0, 1, 9, 10, 99, 100, 101, 1000, 4999, 5000, 10_001}), strconv.Itoa)
	}
	return rapid.OneOf(textGenerator(), rapid.Just(""))
}

func asString[T ~string](v T) string { return string(v) }

// notID makes a text one that an id is compared with: as ParseFilter leaves it.
func notID(s string) string {
	if id, ok := task.ParseID(s); ok {
		return string(id)
	}
	return task.LowerASCII(s)
}

func swapCase(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			b[i] = c ^ 0x20
		}
	}
	return string(b)
}
