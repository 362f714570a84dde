package storetest

import (
	"strings"

	"stint/internal/query"
	"stint/internal/task"
)

// testLargeRows reads a page that is larger than a list holds at once.
func testLargeRows(t trial) {
	const tasks, size = 40, 100_000
	for i := range tasks {
		c := launched(t, i)
		c.Task.Messages = []task.Message{{Type: task.MessageInfo, Key: "large", Locale: "en", Text: strings.Repeat("x", size)}}
		create(t, t.store, c)
	}
	rows, _, err := t.store.List(t.Context(), query.Page{Limit: tasks, Sort: oldestFirst()}, everything())
	if err != nil || len(rows) != tasks {
		t.Fatalf("got %d rows, %v, want %d", len(rows), err, tasks)
	}
	held := 0
	for _, r := range rows {
		held += len(r.Wire)
	}
	if held == 0 || held > 3<<20 {
		t.Errorf("the list holds %d bytes at once", held)
	}
	for i := 0; i < len(rows); {
		if rows[i].Wire != nil {
			i++
			continue
		}
		n, err := t.store.Fill(t.Context(), rows[i:])
		if err != nil || n < 1 {
			t.Fatalf("filled %d rows, %v", n, err)
		}
		i += n
	}
	for _, r := range rows {
		if want := get(t, t.store, r.ID); string(r.Wire) != string(want.Wire) {
			t.Errorf("the row of %s differs from the task", r.ID)
		}
	}
	// A task that is gone meanwhile.
	mixed := []task.Row{{ID: idOf(1 << 20)}, {ID: rows[0].ID}}
	if n, err := t.store.Fill(t.Context(), mixed); err != nil || n != 2 || mixed[0].Wire != nil || mixed[1].Wire == nil {
		t.Errorf("filled %d rows, %v: %t, %t", n, err, mixed[0].Wire != nil, mixed[1].Wire != nil)
	}
}
