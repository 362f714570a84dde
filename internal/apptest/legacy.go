package apptest

import (
	"errors"
	"fmt"
	"math"
)

// DecodeAccountsLoading says what in data breaks the contract of the answer to
// the launch of an account aggregation.
func DecodeAccountsLoading(data []byte) error {
	return decode(data, anObject(map[string]member{
		"success": {check: isTrue},
		"task":    {check: aLegacyTask},
	}))
}

// DecodeLegacyTask says what in data breaks the contract of a task in its older
// shape, which is also the answer to the launch of an entitlement aggregation.
func DecodeLegacyTask(data []byte) error { return decode(data, aLegacyTask) }

// DecodeAggregationStatus says what in data breaks the contract of how an account
// aggregation stands.
func DecodeAggregationStatus(data []byte) error {
	count := member{check: aWhole(0, math.MaxInt64)}
	return decode(data, inAll(anObject(map[string]member{
		"start":                          {check: aDateTime},
		"status":                         {check: oneOf("STARTED", "ACCOUNTS_COLLECTED", "COMPLETED", "CANCELLED", "RETRIED", "TERMINATED")},
		"totalAccounts":                  count,
		"processedAccounts":              count,
		"totalAccountsMarkedForDeletion": count,
		"deletedAccounts":                count,
	}), noMoreThanAll))
}

// legacyMembers are the member names of the older shape, as a recorded answer of
// the original has them.
func legacyMembers() map[string]member {
	return map[string]member{
		"id":               {check: anID},
		"type":             {check: oneOf("QUARTZ", "QPOC", "QUEUED_TASK")},
		"name":             {check: someText},
		"description":      {check: aString},
		"parentName":       {check: orNull(aString)},
		"launcher":         {check: someText},
		"created":          {check: aDateTime},
		"launched":         {check: orNull(aDateTime)},
		"completed":        {check: orNull(aDateTime)},
		"completionStatus": {check: orNull(aCompletionStatus)},
		"messages":         {check: anArray(aLegacyMessage)},
		"progress":         {check: orNull(aString)},
		"attributes":       {check: anyObject},
		"returns": {check: anArray(anObject(map[string]member{
			"displayLabel":  {check: someText},
			"attributeName": {check: someText},
		}))},
	}
}

func aLegacyTask(path string, v any) error {
	return inAll(anObject(legacyMembers()), completionAgrees, returnsHaveValues)(path, v)
}

func aLegacyMessage(path string, v any) error {
	return inAll(anObject(map[string]member{
		"type":          {check: oneOf("INFO", "WARN", "ERROR")},
		"error":         {check: aBool},
		"warning":       {check: aBool},
		"key":           {check: aString},
		"localizedText": {check: aString},
	}), func(path string, v any) error {
		m, _ := v.(map[string]any)
		if (m["type"] == "ERROR") != (m["error"] == true) || (m["type"] == "WARN") != (m["warning"] == true) {
			return fmt.Errorf("%s: error is %s and warning %s in a message of type %s", path, show(m["error"]), show(m["warning"]), show(m["type"]))
		}
		return nil
	})(path, v)
}

// returnsHaveValues checks that every attribute that a return names is there.
func returnsHaveValues(path string, v any) error {
	object, _ := v.(map[string]any)
	attributes, _ := object["attributes"].(map[string]any)
	returns, _ := object["returns"].([]any)
	var errs []error
	for _, r := range returns {
		ret, _ := r.(map[string]any)
		name, _ := ret["attributeName"].(string)
		if _, there := attributes[name]; !there {
			errs = append(errs, fmt.Errorf("%s/returns names %q, which %s/attributes lacks", path, name, path))
		}
	}
	return errors.Join(errs...)
}

// noMoreThanAll checks that a part is no more than its whole.
func noMoreThanAll(path string, v any) error {
	object, _ := v.(map[string]any)
	count := func(name string) int64 {
		text, _ := object[name].(number)
		var n int64
		_, _ = fmt.Sscan(string(text), &n)
		return n
	}
	var errs []error
	for _, pair := range [][2]string{
		{"processedAccounts", "totalAccounts"},
		{"totalAccountsMarkedForDeletion", "totalAccounts"},
		{"deletedAccounts", "totalAccountsMarkedForDeletion"},
		{"deletedAccounts", "processedAccounts"},
	} {
		if count(pair[0]) > count(pair[1]) {
			errs = append(errs, fmt.Errorf("%s/%s is %d, more than %s/%s, %d", path, pair[0], count(pair[0]), path, pair[1], count(pair[1])))
		}
	}
	return errors.Join(errs...)
}
