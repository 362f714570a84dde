// Package account describes what is read from a source: accounts and
// entitlements, and what an aggregation makes of them.
//
// It owns records (an account or an entitlement as a source states it), how two
// rows of one account become one, what counts as a change, and the state of a
// run. It does not own reading files, running, or storage.
//
// Invariants: a record's body is canonical (one text for one content), so that
// equal hashes mean equal contents; entitlement values are a set, kept sorted.
package account

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"stint/internal/task"
)

// Class tells accounts and entitlements apart where both are handled alike.
type Class int

// The classes.
const (
	Accounts Class = iota + 1
	Entitlements
)

// String returns the class as people call it, in the plural.
func (c Class) String() string {
	if c == Entitlements {
		return "entitlements"
	}
	return "accounts"
}

// Record is an account or an entitlement as a source states it.
type Record struct {
	// Key is unique within its source and class: an account's native identity;
	// for entitlements see EntitlementKey.
	Key  string
	Name string
	// Body is canonical JSON. For an account: an object of its attributes, text
	// or (entitlement columns) arrays of text. For an entitlement: see
	// EntitlementBody.
	Body []byte
	// Keep is set for a record that stands in the file but could not be read
	// whole: what is stored of it is neither changed nor deleted.
	Keep bool
	// Known is set for a record of which only the existence is known: what is
	// stored of it already says more.
	Known bool
}

// Hash returns the hash of what the record says.
func (r *Record) Hash() []byte {
	h := sha256.New()
	h.Write([]byte(r.Name))
	h.Write([]byte{0}) // never part of a text
	h.Write(r.Body)
	return h.Sum(nil)[:16]
}

// keySeparator stands between the parts of an entitlement's key. No text of
// ours holds it: ParseEntitlementKey cuts at the first.
const keySeparator = "\x1f"

// EntitlementKey makes the key of an entitlement from the attribute that holds
// it and its native identity.
func EntitlementKey(attribute, nativeIdentity string) string {
	return attribute + keySeparator + nativeIdentity
}

// ParseEntitlementKey is the reverse of EntitlementKey.
func ParseEntitlementKey(key string) (attribute, nativeIdentity string) {
	attribute, nativeIdentity, _ = strings.Cut(key, keySeparator)
	return attribute, nativeIdentity
}

// HeldBody is the body of an entitlement of which nothing is known but that
// accounts hold it. No file makes one like it.
const HeldBody = `{"held":true}`

// EntitlementBody is the body of an entitlement's record.
type EntitlementBody struct {
	DisplayName string            `json:"displayName,omitempty"`
	Description string            `json:"description,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"` // the file's other columns
}

// Change says what an aggregation did to a record.
type Change string

// The changes.
const (
	Created Change = "CREATED"
	Updated Change = "UPDATED"
	Deleted Change = "DELETED"
)

// Stored is a record as it is kept.
type Stored struct {
	Record
	ID         task.ID
	SourceID   task.ID
	SourceName string
	Created    time.Time
	Modified   time.Time
	// LastChange and LastTaskID say which aggregation changed it last, and how.
	LastChange Change
	LastTaskID task.ID
}

// Changed is one line of what a run changed.
type Changed struct {
	Class  Class // of the record
	Change Change
	Key    string
	Name   string
	// Attributes are the names of those that differ, sorted; for updates only.
	Attributes []string
}

// Attributes reads the body of an account.
func (r *Record) Attributes() (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	err := json.Unmarshal(r.Body, &m)
	return m, err
}
