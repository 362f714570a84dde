// Package source describes the systems that accounts and entitlements are read
// from.
//
// It owns a source, its rules, and how many deletions an aggregation of it may
// make. It does not own how a source is read (package connector does), nor
// storage.
//
// Invariants: the name of a source is unique, ASCII case ignored; a source's
// type never changes.
package source

import (
	"strings"
	"time"
	"unicode/utf8"

	"stint/internal/task"
)

// Type says how a source is read.
type Type string

// DelimitedFile is a source whose accounts come in an uploaded file.
const DelimitedFile Type = "DelimitedFile"

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
	// MaxColumns is how many columns a delimited file may have.
	MaxColumns = 1000
)

// Validate checks a whole source. The error is an Error that names the member.
func (s *Source) Validate() error {
	if s.Name == "" || strings.TrimSpace(s.Name) != s.Name {
		return task.Errorf(task.Missing, "name", "is required, without white space around it")
	}
	if err := checkText("name", s.Name, maxName); err != nil {
		return err
	}
	if err := checkText("description", s.Description, maxDescription); err != nil {
		return err
	}
	if s.Type != DelimitedFile {
		if s.Type == "" {
			return task.Errorf(task.Missing, "type", "is required: %s", DelimitedFile)
		}
		return task.Errorf(task.IllegalValue, "type", "%q is not allowed: %s", task.Abbreviate(string(s.Type)), DelimitedFile)
	}
	if s.Deletions.Percent < 0 || s.Deletions.Percent > 100 {
		return task.Errorf(task.IllegalValue, "deletionThreshold.percent", "%d is not allowed: 0 to 100", s.Deletions.Percent)
	}
	if s.Deletions.Minimum < 0 {
		return task.Errorf(task.IllegalValue, "deletionThreshold.minimum", "%d is not allowed: 0 or more", s.Deletions.Minimum)
	}
	return s.File.validate()
}

func (f *File) validate() error {
	const at = "connectorAttributes."
	if f.AccountID == "" {
		return task.Errorf(task.Missing, at+"accountId", "is required: the column of the native identity")
	}
	if r, n := utf8.DecodeRuneInString(f.Delimiter); n != len(f.Delimiter) || !validDelimiter(r) {
		return task.Errorf(task.IllegalValue, at+"delimiter",
			"%q is not allowed: one character, not a quote, a line break or U+FFFD", task.Abbreviate(f.Delimiter))
	}
	if f.MultiValueSeparator == "" {
		return task.Errorf(task.Missing, at+"multiValueSeparator", "is empty")
	}
	if err := checkText(at+"multiValueSeparator", f.MultiValueSeparator, maxColumnName); err != nil {
		return err
	}
	if len(f.Columns) > MaxColumns || len(f.Entitlements) > MaxColumns {
		return task.Errorf(task.IllegalValue, at+"columns", "are too many: at most %d", MaxColumns)
	}
	columns := map[string]bool{}
	for _, c := range f.Columns {
		if columns[c] {
			return task.Errorf(task.IllegalValue, at+"columns", "%q stands twice", task.Abbreviate(c))
		}
		columns[c] = true
	}
	seen := map[string]bool{}
	for _, c := range f.Entitlements {
		if seen[c] {
			return task.Errorf(task.IllegalValue, at+"entitlements", "%q stands twice", task.Abbreviate(c))
		}
		seen[c] = true
	}
	if seen[f.AccountID] {
		return task.Errorf(task.IllegalValue, at+"entitlements", "%q is the column of the native identity", task.Abbreviate(f.AccountID))
	}
	named := append([]string{f.AccountID}, f.Entitlements...)
	if f.DisplayName != "" {
		named = append(named, f.DisplayName)
	}
	for _, c := range named {
		if len(columns) > 0 && !columns[c] {
			return task.Errorf(task.IllegalValue, at+"columns", "do not hold %q, which accountId, displayName or entitlements name", task.Abbreviate(c))
		}
	}
	for _, c := range append(named, f.Columns...) {
		if c == "" || strings.TrimSpace(c) != c {
			return task.Errorf(task.IllegalValue, at+"columns", "%q is not the name of a column: not empty, without white space around it", task.Abbreviate(c))
		}
		if err := checkText(at+"columns", c, maxColumnName); err != nil {
			return err
		}
	}
	return nil
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
