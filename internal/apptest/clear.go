package apptest

import (
	"fmt"
	"math"
)

// DecodeCleared says what in data breaks the contract of the answer to a clear of many
// tasks.
func DecodeCleared(data []byte) error {
	return decode(data, inAll(anObject(map[string]member{
		"dryRun":  {check: aBool},
		"matched": {check: aWhole(0, math.MaxInt64)},
		"cleared": {check: aWhole(0, 1000)},
		"more":    {check: aBool},
		"tasks": {check: inAll(anArray(inAll(anObject(map[string]member{
			"id":         {check: anID},
			"kind":       {check: someText},
			"uniqueName": {check: someText},
			"launcher":   {check: someText},
			"sourceId":   {check: orNull(someText)},
			"created":    {check: aDateTime},
			"state":      {check: oneOf("queued", "running")},
			"outcome":    {check: oneOf("wouldClear", "cleared", "changed", "refused")},
			"message":    {check: orNull(someText)},
		}), messageAgrees)), noIDTwice)},
	}), outcomesAgree))
}

// messageAgrees checks that what was not cleared says why.
func messageAgrees(path string, v any) error {
	object, _ := v.(map[string]any)
	said := object["message"] != nil
	if why := object["outcome"] == "changed" || object["outcome"] == "refused"; why != said {
		return fmt.Errorf("%s/message is %s where outcome is %s", path, show(object["message"]), show(object["outcome"]))
	}
	return nil
}

// outcomesAgree checks that a dry run clears nothing, and that all else clears or says why.
func outcomesAgree(path string, v any) error {
	object, _ := v.(map[string]any)
	tasks, _ := object["tasks"].([]any)
	for i, one := range tasks {
		t, _ := one.(map[string]any)
		if dry := object["dryRun"] == true; dry && t["outcome"] == "cleared" || !dry && t["outcome"] == "wouldClear" {
			return fmt.Errorf("%s/tasks/%d/outcome is %s where dryRun is %v", path, i, show(t["outcome"]), dry)
		}
	}
	return nil
}
