package delimited

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"stint/internal/account"
	"stint/internal/task"
)

// newLayout returns what makes records of the rows under a header. The error is
// a task.Error: a column is missing.
func newLayout(columns []string, s *Settings) (layout, error) {
	switch s.Class {
	case account.Accounts:
		return newAccounts(columns, s)
	case account.Entitlements:
		return newEntitlements(columns, s)
	}
	return nil, fmt.Errorf("the class %d is unknown", int(s.Class))
}

// accounts makes records of the rows of a file of accounts.
type accounts struct {
	columns   []string
	id        int
	name      int // -1: none
	members   []member
	separator string
	// body and values are used again for each row.
	body   []byte
	values []string
}

// member is a column as it is written in a body.
type member struct {
	cell int
	name []byte // encoded, with its colon
	many bool   // holds several values
}

func newAccounts(columns []string, s *Settings) (*accounts, error) {
	index := make(map[string]int, len(columns))
	for i, c := range columns {
		index[c] = i
	}
	var missing []needed
	find := func(name, why string) int {
		i, ok := index[name]
		if !ok {
			missing = append(missing, needed{name, why})
		}
		return i
	}
	a := &accounts{columns: columns, name: -1, separator: s.separator(), id: find(s.File.AccountID, "connectorAttributes.accountId")}
	if s.File.DisplayName != "" {
		a.name = find(s.File.DisplayName, "connectorAttributes.displayName")
	}
	many := make(map[int]bool, len(s.File.Entitlements))
	for _, e := range s.File.Entitlements {
		many[find(e, "connectorAttributes.entitlements")] = true
	}
	if len(missing) > 0 {
		return nil, errMissing(missing, columns, s)
	}
	sorted := slices.Sorted(slices.Values(columns))
	for _, c := range sorted {
		i := index[c]
		a.members = append(a.members, member{cell: i, name: append(account.AppendText(nil, c), ':'), many: many[i]})
	}
	return a, nil
}

func (a *accounts) key(cells []string) string {
	if a.id >= len(cells) {
		return ""
	}
	id := strings.TrimSpace(cells[a.id])
	if identityFault(a.id, id, a.columns) != nil {
		return ""
	}
	return id
}

func (a *accounts) record(cells []string) (account.Record, *fault) {
	id := strings.TrimSpace(cells[a.id])
	if f := identityFault(a.id, id, a.columns); f != nil {
		return account.Record{}, f
	}
	cells[a.id] = id
	name := id
	if a.name >= 0 && strings.TrimSpace(cells[a.name]) != "" {
		name = cells[a.name]
	}
	if f := nameFault(a.name, name, a.columns); f != nil {
		return account.Record{}, f
	}
	a.body = append(a.body[:0], '{')
	for i := range a.members {
		m := &a.members[i]
		if cells[m.cell] == "" {
			continue
		}
		if m.many {
			a.values = split(a.values[:0], cells[m.cell], a.separator)
			if f := valuesFault(m.cell, a.values, a.columns); f != nil {
				return account.Record{}, f
			}
		}
		a.append(m, cells[m.cell])
	}
	a.body = append(a.body, '}')
	return account.Record{Key: id, Name: name, Body: slices.Clone(a.body)}, nil
}

// valuesFault says what is wrong with the entitlements of a cell: each is the
// native identity of one, and must be fit to be.
func valuesFault(cell int, values, columns []string) *fault {
	for _, v := range values {
		switch {
		case tooLong(v, maxIdentity):
			return &fault{cell, EntitlementTooLong, fmt.Sprintf("an entitlement, in column %q, has more than %d characters",
				task.Abbreviate(columns[cell]), maxIdentity)}
		case strings.ContainsFunc(v, isControl):
			return &fault{cell, EntitlementIllegal, fmt.Sprintf("an entitlement, in column %q, holds a control character",
				task.Abbreviate(columns[cell]))}
		}
	}
	return nil
}

// append appends a member to the body, unless it has no value; those of a cell
// of many are in values.
func (a *accounts) append(m *member, cell string) {
	if m.many && len(a.values) == 0 {
		return
	}
	if len(a.body) > 1 {
		a.body = append(a.body, ',')
	}
	a.body = append(a.body, m.name...)
	if m.many {
		a.body = account.AppendTexts(a.body, a.values)
	} else {
		a.body = account.AppendText(a.body, cell)
	}
}

// split appends the values in a cell to dst: without white space around them,
// sorted, each once.
func split(dst []string, cell, separator string) []string {
	for v := range strings.SplitSeq(cell, separator) {
		if v = strings.TrimSpace(v); v != "" {
			dst = append(dst, v)
		}
	}
	slices.Sort(dst)
	return slices.Compact(dst)
}

// identityFault says what is wrong with a native identity.
func identityFault(cell int, id string, columns []string) *fault {
	switch {
	case id == "":
		return &fault{cell, IdentityEmpty, fmt.Sprintf("the native identity, in column %q, is empty", task.Abbreviate(columns[cell]))}
	case tooLong(id, maxIdentity):
		return &fault{cell, IdentityTooLong, fmt.Sprintf("the native identity, in column %q, has more than %d characters", task.Abbreviate(columns[cell]), maxIdentity)}
	case strings.ContainsFunc(id, isControl):
		return &fault{cell, IdentityIllegal, fmt.Sprintf("the native identity, in column %q, holds a control character", task.Abbreviate(columns[cell]))}
	}
	return nil
}

// nameFault says what is wrong with the name of a record. A name that is the
// native identity was checked as such.
func nameFault(cell int, name string, columns []string) *fault {
	if cell < 0 || !tooLong(name, maxName) {
		return nil
	}
	return &fault{cell, NameTooLong, fmt.Sprintf("the name, in column %q, has more than %d characters", task.Abbreviate(columns[cell]), maxName)}
}

func tooLong(s string, most int) bool { return len(s) > most && utf8.RuneCountInString(s) > most }
