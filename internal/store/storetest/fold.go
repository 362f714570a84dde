package storetest

import (
	"fmt"

	"stint/internal/query"
	"stint/internal/task"
)

// testFold asks for every text by every text: those are equal whose letters A
// to Z differ in case alone. Blanks, wild cards and what only Unicode folds
// count.
func testFold(t trial) {
	s := t.store
	texts := []string{
		"system", "SYSTEM", "ſystem", "k", "K", "\u212a", "i", "I", "İ", "ı", "é", "É", "e\u0301", "straße", "STRASSE", "zoë o'neil", "ZOË O'NEIL",
		"Zoë O'Neil", "σ", "ς", "Σ", "ǆ", "ǅ", "a", "A", "a ", " a", "a%", "%", "_", "a_c", "abc", "*", "?", "[a]", "[", "{", "@", "`", `\`, `\\`, `"`,
		"'", "x' or 1=1 --", "null", "0", "00", "1", "1.0", "1e0", "日本語", "😀", "\ufffd", "\u200b",
	}
	tasks := make([]task.Task, len(texts))
	for i, text := range texts {
		tasks[i] = emptyTask()
		tasks[i].ID, tasks[i].SourceID, tasks[i].Launcher = task.ID(fmt.Sprintf("%032x", i)), text, text
	}
	load(t, s, tasks)
	for _, f := range []query.Field{query.FieldSource, query.FieldLauncher} {
		for i, text := range texts {
			for _, filter := range []query.Expr{
				query.Compare{Field: f, Values: []string{text}},
				query.Not{Term: query.Compare{Field: f, Values: []string{text, "nobody"}}},
				query.Compare{Field: f, Values: texts[i:]},
			} {
				page := query.Page{Limit: 100, Count: true, Filter: filter, Sort: oldestFirst()}
				if wrong := checkPage(t, s, tasks, page, everything()); wrong != "" {
					t.Fatal(wrong)
				}
			}
		}
	}
}
