package delimited

import (
	"fmt"
	"strings"

	"stint/internal/account"
	"stint/internal/task"
)

// defaultAttribute is the attribute of entitlements whose file and source name
// none.
const defaultAttribute = "group"

// entitlements makes records of the rows of a file of entitlements. The columns
// that it knows are -1 where the file has none.
type entitlements struct {
	columns                                       []string
	id, name, displayName, description, attribute int
	others                                        []int
	fallback                                      string // the attribute where the row has none
	// body and attributes are used again for each row.
	body       []byte
	attributes map[string]string
}

func newEntitlements(columns []string, s *Settings) (*entitlements, error) {
	e := &entitlements{
		columns: columns, id: -1, name: -1, displayName: -1, description: -1, attribute: -1,
		fallback: defaultAttribute, attributes: map[string]string{},
	}
	if len(s.File.Entitlements) > 0 {
		e.fallback = s.File.Entitlements[0]
	}
	known := map[string]*int{
		"id": &e.id, "name": &e.name, "displayname": &e.displayName, "description": &e.description, "attribute": &e.attribute,
	}
	for i, c := range columns {
		cell := known[task.LowerASCII(c)]
		switch {
		case cell == nil:
			e.others = append(e.others, i)
		case *cell >= 0:
			return nil, task.Errorf(task.IllegalValue, fileField, "names a column more than once, as the case of letters does not count: %s",
				list([]string{columns[*cell], c}))
		default:
			*cell = i
		}
	}
	if e.id < 0 && e.name < 0 {
		return nil, errMissing([]needed{{"id", "or name: the native identity"}}, columns, s)
	}
	return e, nil
}

// cell returns the text of a column; ok is false where the row is too short to
// have it.
func cell(cells []string, column int) (text string, ok bool) {
	if column < 0 {
		return "", true
	}
	if column >= len(cells) {
		return "", false
	}
	return cells[column], true
}

// identity returns the attribute and the native identity of a row, and the
// column that the latter is from. It is not ok where the row is too short to
// tell them: it must not be taken for another one.
func (e *entitlements) identity(cells []string) (attribute, id string, column int, ok bool) {
	attribute, hasAttribute := cell(cells, e.attribute)
	if attribute = strings.TrimSpace(attribute); attribute == "" {
		attribute = e.fallback
	}
	id, hasID := cell(cells, e.id)
	column = e.id
	if id = strings.TrimSpace(id); id == "" && e.name >= 0 {
		var hasName bool
		id, hasName = cell(cells, e.name)
		id = strings.TrimSpace(id)
		hasID = hasID && hasName
		if id != "" || column < 0 {
			column = e.name
		}
	}
	return attribute, id, column, hasAttribute && hasID
}

func (e *entitlements) key(cells []string) string {
	attribute, id, column, ok := e.identity(cells)
	if !ok || identityFault(column, id, e.columns) != nil || e.attributeFault(attribute) != nil {
		return ""
	}
	return account.EntitlementKey(attribute, id)
}

func (e *entitlements) record(cells []string) (account.Record, *fault) {
	attribute, id, column, _ := e.identity(cells)
	if f := identityFault(column, id, e.columns); f != nil {
		return account.Record{}, f
	}
	if f := e.attributeFault(attribute); f != nil {
		return account.Record{}, f
	}
	title, name, column := id, "", -1
	if text, _ := cell(cells, e.name); strings.TrimSpace(text) != "" {
		title, name, column = text, text, e.name
	}
	displayName, _ := cell(cells, e.displayName)
	if strings.TrimSpace(displayName) != "" {
		title, column = displayName, e.displayName
	}
	if f := nameFault(column, title, e.columns); f != nil {
		return account.Record{}, f
	}
	clear(e.attributes)
	for _, i := range e.others {
		if cells[i] != "" {
			e.attributes[e.columns[i]] = cells[i]
		}
	}
	if name != "" && name != title {
		e.attributes["name"] = name
	}
	description, _ := cell(cells, e.description)
	body := account.EntitlementBody{DisplayName: displayName, Description: description, Attributes: e.attributes}
	e.body = body.Append(e.body[:0])
	return account.Record{Key: account.EntitlementKey(attribute, id), Name: title, Body: append([]byte(nil), e.body...)}, nil
}

// attributeFault says what is wrong with the attribute of a row. One that is the
// source's is in order.
func (e *entitlements) attributeFault(attribute string) *fault {
	if e.attribute < 0 || attribute == e.fallback {
		return nil
	}
	name := task.Abbreviate(e.columns[e.attribute])
	switch {
	case tooLong(attribute, maxHeader):
		return &fault{e.attribute, AttributeTooLong, fmt.Sprintf("the attribute, in column %q, has more than %d characters", name, maxHeader)}
	case strings.ContainsFunc(attribute, isControl):
		return &fault{e.attribute, AttributeIllegal, fmt.Sprintf("the attribute, in column %q, holds a control character", name)}
	}
	return nil
}
