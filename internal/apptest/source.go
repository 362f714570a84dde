package apptest

import (
	"math"
	"strings"
)

// DecodeSource says what in data breaks the contract of one source.
func DecodeSource(data []byte) error { return decode(data, aSource) }

// DecodeSourceList says what in data breaks the contract of a list of sources.
func DecodeSourceList(data []byte) error {
	return decode(data, inAll(anArray(aSource), noIDTwice))
}

// DecodeSourceDeletion says what in data breaks the contract of the answer to the
// deletion of a source.
func DecodeSourceDeletion(data []byte) error {
	return decode(data, anObject(map[string]member{
		"source":              {check: aSource},
		"deletedAccounts":     {check: aWhole(0, math.MaxInt64)},
		"deletedEntitlements": {check: aWhole(0, math.MaxInt64)},
		"terminatedTasks":     {check: anArray(anID)},
		"text":                {check: someText},
	}))
}

func aSource(path string, v any) error {
	return inAll(anObject(map[string]member{
		"id":          {check: anID},
		"name":        {check: trimmedText},
		"description": {check: aString},
		"type":        {check: oneOf("DelimitedFile")},
		"connectorAttributes": {check: anObject(map[string]member{
			"accountId":           {check: trimmedText},
			"displayName":         {check: orNull(trimmedText)},
			"entitlements":        {check: anArray(trimmedText)},
			"multiValueSeparator": {check: someText},
			"delimiter":           {check: someText},
			"columns":             {check: anArray(trimmedText)},
		})},
		"deletionThreshold": {check: anObject(map[string]member{
			"percent": {check: aWhole(0, 100)},
			"minimum": {check: aWhole(0, 1e12)},
		})},
		"accountCount":     {check: aWhole(0, math.MaxInt64)},
		"entitlementCount": {check: aWhole(0, math.MaxInt64)},
		"created":          {check: aDateTime},
		"modified":         {check: aDateTime},
	}), modifiedFollowsCreated)(path, v)
}

func trimmedText(path string, v any) error {
	if s, ok := v.(string); !ok || s == "" || strings.TrimSpace(s) != s {
		return breach(path, v, "a text that is not empty, without white space around it")
	}
	return nil
}
