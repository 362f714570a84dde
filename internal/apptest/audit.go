package apptest

import "regexp"

// actionForm is that of an action, changeForm of one that changes a thing.
var (
	actionForm = regexp.MustCompile(`^[a-z]+\.[a-z]+$`)
	changeForm = regexp.MustCompile(`^(task|source)\.`)
)

// DecodeAuditEntry says what in data breaks the contract of one entry of the audit.
func DecodeAuditEntry(data []byte) error { return decode(data, anAuditEntry) }

// DecodeAuditList says what in data breaks the contract of a list of entries.
func DecodeAuditList(data []byte) error {
	return decode(data, inAll(anArray(anAuditEntry), noIDTwice))
}

func anAuditEntry(path string, v any) error {
	return inAll(anObject(map[string]member{
		"id":        {check: anID},
		"created":   {check: aDateTime},
		"action":    {check: matching(actionForm, "words with a dot between them")},
		"actor":     {check: someText},
		"client":    {check: aString},
		"address":   {check: aString},
		"agent":     {check: aString},
		"requestId": {check: aString},
		"object":    {check: aString},
		"reason":    {check: aString},
		"words":     {check: aString},
		"before":    {check: orNull(anyObject)},
		"after":     {check: orNull(anyObject)},
	}), somethingChanged)(path, v)
}

// somethingChanged holds that an entry about a task or a source says what it was
// or what it became.
func somethingChanged(path string, v any) error {
	e, _ := v.(map[string]any)
	action, _ := e["action"].(string)
	if changeForm.MatchString(action) && e["before"] == nil && e["after"] == nil {
		return breach(path, v, "an entry that says what the "+action+" changed")
	}
	return nil
}
