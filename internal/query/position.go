package query

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"stint/internal/strictjson"
	"stint/internal/task"
)

const paramCursor = "cursor"

// Position is the place of a task in an order.
type Position struct {
	// Value is that of the field that is sorted on, as a store tells it, in decimal
	// digits where the store compares numbers; nil is null. It is not used where the
	// field is FieldCreated.
	Value   *string
	Created time.Time
	ID      task.ID
}

// cursor is a Position on the wire. Clients take it as it is and give it back.
type cursor struct {
	Sort    string  `json:"s"`
	Value   *string `json:"v"`
	Created int64   `json:"c"`
	ID      string  `json:"i"`
}

// Cursor returns the position as the parameter of that name, for the list in this
// order.
func (p Position) Cursor(s Sorter) string {
	body, _ := json.Marshal(cursor{s.word(), p.Value, p.Created.UnixMilli(), string(p.ID)}) // cannot fail: texts and a number
	return base64.RawURLEncoding.EncodeToString(body)
}

// word is the sorter as the parameter sorters has it.
func (s Sorter) word() string {
	if s.Desc {
		return "-" + s.Field.word()
	}
	return s.Field.word()
}

// Comparable returns the value, which is not nil, as stores compare it: an int64 or a
// string.
func (p Position) Comparable(f Field) any {
	if f.IsCounted() {
		return numberOf(*p.Value)
	}
	return *p.Value
}

// IsCounted reports whether the values of a field are numbers to a store: times are.
func (f Field) IsCounted() bool {
	return f.IsNumber() || f == FieldCreated || f == FieldLaunched || f == FieldCompleted || f == FieldModified
}

// parsePosition reads a cursor of the list in an order.
func parsePosition(value string, s Sorter) (*Position, error) {
	body, err := base64.RawURLEncoding.DecodeString(value)
	var c cursor
	if err == nil {
		err = strictjson.Unmarshal(body, &c)
	}
	id, ok := task.ParseID(c.ID)
	ok = ok && err == nil && c.Created >= 0 && c.Created <= maxEpoch
	if ok && c.Value != nil {
		if s.Field.IsCounted() {
			_, err := strconv.ParseInt(*c.Value, 10, 64)
			ok = err == nil
		} else {
			ok = checkText(paramCursor, *c.Value) == nil
		}
	}
	switch {
	case !ok:
		return nil, task.Errorf(task.IllegalValue, paramCursor, "%s is not one that this list gave: take it from the header Link, or leave it out", shown(value))
	case c.Sort != s.word():
		return nil, task.Errorf(task.IllegalValue, paramCursor, "is of this list sorted on %s, not on %s: take the whole address from the header Link",
			shown(c.Sort), s.word())
	}
	return &Position{Value: c.Value, Created: time.UnixMilli(c.Created).UTC(), ID: id}, nil
}
