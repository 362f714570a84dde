// Package source describes the systems that accounts and entitlements are read
// from.
//
// It owns a source, its rules, and how many deletions an aggregation of it may
// make. It does not own how a source is read (package connector does), nor
// storage.
//
// Invariants: the name of a source is unique, ASCII case ignored, and never has
// the form of an id, so that one word can mean either; a source's type never
// changes.
package source

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stint/internal/task"
)

// Type says how a source is read.
type Type string

// DelimitedFile is a source whose accounts come in an uploaded file.
const DelimitedFile Type = "DelimitedFile"

// Types returns all types.
func Types() []Type { return []Type{DelimitedFile} }

// TypeList lists the types for an error.
func TypeList() string {
	names := make([]string, 0, len(Types()))
	for _, t := range Types() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// ParseType reads a type in any ASCII case.
func ParseType(s string) (Type, bool) {
	for _, t := range Types() {
		if task.EqualFoldASCII(s, string(t)) {
			return t, true
		}
	}
	return "", false
}

// Source is a system that accounts and entitlements are read from. Times are
// UTC and whole milliseconds.
type Source struct {
	ID          task.ID
	Name        string
	Description string
	Type        Type
	File        File
	Deletions   Threshold
	Created     time.Time
	Modified    time.Time

	// Accounts and Entitlements are how many are stored. The store keeps them;
	// what a caller sets is ignored.
	Accounts, Entitlements int64
}

// Deletion is what the deletion of a source did.
type Deletion struct {
	Source Source
	// Accounts and Entitlements are how many go with it.
	Accounts, Entitlements int64
	// Ended are the aggregations that were in progress, as they are now.
	Ended []task.Task
}

// File says how a delimited file is read.
type File struct {
	// AccountID and DisplayName are the columns of the native identity and of the
	// name; without DisplayName the native identity is the name.
	AccountID, DisplayName string
	// Entitlements are the columns that hold entitlements: several values in one
	// cell, separated by MultiValueSeparator.
	Entitlements        []string
	MultiValueSeparator string
	Delimiter           string
	// Columns are those that a file of accounts may have; empty until the first
	// file was accepted, which then sets them.
	Columns []string
}

// Reads reports whether a file that was checked for f reads the same for other:
// all but the columns, which a first file sets.
func (f *File) Reads(other *File) bool {
	return f.AccountID == other.AccountID && f.DisplayName == other.DisplayName && f.Delimiter == other.Delimiter &&
		f.MultiValueSeparator == other.MultiValueSeparator && slices.Equal(f.Entitlements, other.Entitlements)
}

// The defaults of a delimited file.
const (
	DefaultDelimiter           = ","
	DefaultMultiValueSeparator = ","
)

// Threshold bounds how many deletions pass unasked: Percent of what is stored,
// but at least Minimum.
type Threshold struct {
	Percent int
	Minimum int64
}

// DefaultThreshold is that of a source that sets none.
func DefaultThreshold() Threshold { return Threshold{Percent: 10, Minimum: 10} }

// Limit returns how many of stored may be deleted unasked.
func (t Threshold) Limit(stored int64) int64 {
	return max(t.Minimum, stored/100*int64(t.Percent)+stored%100*int64(t.Percent)/100)
}

// Bounds of a source.
const (
	maxName        = 128
	maxDescription = 4096
	maxColumnName  = 256
	maxSeparator   = 16
	// MaxColumns is how many columns a delimited file may have.
	MaxColumns = 1000
	// maxColumnBytes bounds all names of columns together: a list shows many
	// sources at once.
	maxColumnBytes = 128 << 10
	// maxMinimum is more than any source has, and exact in every language.
	maxMinimum = 1_000_000_000_000
)

// Validate checks a whole source. The error is an Error that names the member.
func (s *Source) Validate() error {
	if err := checkName(s.Name); err != nil {
		return err
	}
	if err := checkText("description", s.Description, maxDescription); err != nil {
		return err
	}
	if err := checkType(s.Type); err != nil {
		return err
	}
	if s.Deletions.Percent < 0 || s.Deletions.Percent > 100 {
		return task.Errorf(task.IllegalValue, "deletionThreshold.percent", "%d is not allowed: 0 to 100", s.Deletions.Percent)
	}
	if s.Deletions.Minimum < 0 || s.Deletions.Minimum > maxMinimum {
		return task.Errorf(task.IllegalValue, "deletionThreshold.minimum", "%d is not allowed: 0 to %d", s.Deletions.Minimum, maxMinimum)
	}
	return s.File.validate()
}

func checkName(name string) error {
	if strings.TrimSpace(name) == "" {
		return task.Errorf(task.Missing, "name", "is required")
	}
	if err := checkText("name", name, maxName); err != nil {
		return err
	}
	if strings.TrimSpace(name) != name {
		return task.Errorf(task.IllegalValue, "name", "%q is not allowed: no white space around it", task.Abbreviate(name))
	}
	if _, ok := task.ParseID(name); ok {
		return task.Errorf(task.IllegalValue, "name", "%q is not allowed: it has the form of an id", name)
	}
	return nil
}

func checkType(t Type) error {
	if t == "" {
		return task.Errorf(task.Missing, "type", "is required: %s", TypeList())
	}
	if !slices.Contains(Types(), t) {
		return task.Errorf(task.IllegalValue, "type", "%q is not allowed: %s", task.Abbreviate(string(t)), TypeList())
	}
	return nil
}

// The members of a file's settings, as errors name them.
const (
	atAccountID    = "connectorAttributes.accountId"
	atDisplayName  = "connectorAttributes.displayName"
	atEntitlements = "connectorAttributes.entitlements"
	atSeparator    = "connectorAttributes.multiValueSeparator"
	atDelimiter    = "connectorAttributes.delimiter"
	atColumns      = "connectorAttributes.columns"
)

func (f *File) validate() error {
	if f.AccountID == "" {
		return task.Errorf(task.Missing, atAccountID, "is required: the column of the native identity")
	}
	if r, n := utf8.DecodeRuneInString(f.Delimiter); f.Delimiter == "" || n != len(f.Delimiter) || !validDelimiter(r) {
		return task.Errorf(task.IllegalValue, atDelimiter,
			"%q is not allowed: one character, not a quote, a line break or U+FFFD", task.Abbreviate(f.Delimiter))
	}
	if f.MultiValueSeparator == "" {
		return task.Errorf(task.Missing, atSeparator, "is empty; without it, it is %q", DefaultMultiValueSeparator)
	}
	if err := checkText(atSeparator, f.MultiValueSeparator, maxSeparator); err != nil {
		return err
	}
	return f.checkColumns()
}

// checkColumns checks the names of columns: each by itself, and that those
// named for a use are there.
func (f *File) checkColumns() error {
	if err := checkColumn(atAccountID, f.AccountID); err != nil {
		return err
	}
	if f.DisplayName != "" {
		if err := checkColumn(atDisplayName, f.DisplayName); err != nil {
			return err
		}
	}
	entitlements, err := columnSet(atEntitlements, f.Entitlements)
	if err != nil {
		return err
	}
	columns, err := columnSet(atColumns, f.Columns)
	if err != nil {
		return err
	}
	if entitlements[f.AccountID] {
		return task.Errorf(task.IllegalValue, atEntitlements, "%q is the column of the native identity", task.Abbreviate(f.AccountID))
	}
	if len(columns) == 0 {
		return nil
	}
	known := func(field, name string) error {
		if name == "" || columns[name] {
			return nil
		}
		return task.Errorf(task.IllegalValue, field, "%q is not one of connectorAttributes.columns", task.Abbreviate(name))
	}
	for _, name := range f.Entitlements {
		if err := known(atEntitlements, name); err != nil {
			return err
		}
	}
	return cmp.Or(known(atAccountID, f.AccountID), known(atDisplayName, f.DisplayName))
}

// columnSet checks a list of columns and returns it as a set.
func columnSet(field string, names []string) (map[string]bool, error) {
	if len(names) > MaxColumns {
		return nil, task.Errorf(task.IllegalValue, field, "%d columns are too many: at most %d", len(names), MaxColumns)
	}
	set := make(map[string]bool, len(names))
	size := 0
	for _, name := range names {
		if err := checkColumn(field, name); err != nil {
			return nil, err
		}
		if set[name] {
			return nil, task.Errorf(task.IllegalValue, field, "%q stands twice", task.Abbreviate(name))
		}
		set[name] = true
		size += len(name)
	}
	if size > maxColumnBytes {
		return nil, task.Errorf(task.IllegalValue, field, "the names are %d bytes: at most %d together", size, maxColumnBytes)
	}
	return set, nil
}

func checkColumn(field, name string) error {
	if name == "" || strings.TrimSpace(name) != name {
		return task.Errorf(task.IllegalValue, field, "%q is not the name of a column: not empty, without white space around it", task.Abbreviate(name))
	}
	// A header with one is refused, and the keys of entitlements hold U+001F.
	if strings.ContainsFunc(name, unicode.IsControl) {
		return task.Errorf(task.IllegalValue, field, "%q is not the name of a column: it holds a control character", task.Abbreviate(name))
	}
	return checkText(field, name, maxColumnName)
}

func validDelimiter(r rune) bool {
	return r != 0 && r != '"' && r != '\r' && r != '\n' && r != utf8.RuneError
}

func checkText(field, s string, limit int) error {
	if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
		return task.Errorf(task.IllegalValue, field, "holds U+0000 or is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(s); n > limit {
		return task.Errorf(task.IllegalValue, field, "%d characters are too many: at most %d", n, limit)
	}
	return nil
}
