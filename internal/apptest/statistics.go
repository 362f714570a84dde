package apptest

import (
	"errors"
	"fmt"
	"math"
)

// DecodeStatistics says what in data breaks the contract of what is summed up.
func DecodeStatistics(data []byte) error {
	duration := aWhole(math.MinInt64, math.MaxInt64)
	text := orNull(someText)
	return decode(data, anObject(map[string]member{
		"from":     {check: aDateTime},
		"to":       {check: aDateTime},
		"timeZone": {check: someText},
		"groupBy":  {check: inAll(anArray(oneOf("type", "source", "status", "day")), notEmpty)},
		"groups": {check: anArray(inAll(anObject(map[string]member{
			"type": {check: text}, "typeName": {check: text}, "sourceId": {check: text}, "sourceName": {check: text},
			"completionStatus": {check: orNull(aCompletionStatus)}, "day": {check: text},
			"runs": {check: aWhole(1, math.MaxInt64)}, "failures": {check: aWhole(0, math.MaxInt64)},
			"warnings": {check: aWhole(0, math.MaxInt64)}, "terminated": {check: aWhole(0, math.MaxInt64)},
			"durationMs": {check: orNull(anObject(map[string]member{
				"p50": {check: duration}, "p90": {check: duration}, "p95": {check: duration}, "p99": {check: duration},
				"max": {check: duration}, "mean": {check: duration},
			}))},
			"lastGoodRun": {check: orNull(inAll(aRun(nil), hasEnded))},
			"lastRun":     {check: inAll(aRun(nil), hasEnded)},
		}), countsAgree))},
	}))
}

// DecodeLatestRuns says what in data breaks the contract of the newest tasks of each
// type and source.
func DecodeLatestRuns(data []byte) error {
	return decode(data, anObject(map[string]member{
		"last": {check: aWhole(1, 100)},
		"more": {check: aBool},
		"groups": {check: anArray(anObject(map[string]member{
			"type": {check: someText}, "typeName": {check: someText}, "sourceId": {check: orNull(someText)}, "sourceName": {check: orNull(someText)},
			"inProgress": {check: aWhole(0, math.MaxInt64)}, "usualDurationMs": {check: orNull(aWhole(0, math.MaxInt64))},
			"lastRun":     {check: aRun(map[string]member{"uniqueName": {check: aString}, "percentComplete": {check: aWhole(0, 100)}})},
			"lastGoodRun": {check: orNull(inAll(aRun(nil), hasEnded))},
			"runs":        {check: inAll(anArray(aRun(nil)), notEmpty, noIDTwice)},
		}))},
	}))
}

// aRun checks a task in brief, with more members.
func aRun(more map[string]member) check {
	members := map[string]member{
		"id": {check: anID}, "state": {check: oneOf("queued", "running", "completed")}, "completionStatus": {check: orNull(aCompletionStatus)},
		"created": {check: aDateTime}, "launched": {check: orNull(aDateTime)}, "completed": {check: orNull(aDateTime)},
		"durationMs": {check: orNull(aWhole(math.MinInt64, math.MaxInt64))},
	}
	for name, m := range more {
		members[name] = m
	}
	return inAll(anObject(members), completionAgrees, stateAgrees)
}

func hasEnded(path string, v any) error {
	if run, ok := v.(map[string]any); ok && run["state"] != "completed" {
		return breach(path+"/state", run["state"], "completed")
	}
	return nil
}

func countsAgree(path string, v any) error {
	group, ok := v.(map[string]any)
	if !ok {
		return errors.New("no object")
	}
	var counts [4]int64
	for i, name := range []string{"runs", "failures", "warnings", "terminated"} {
		n, _ := group[name].(number)
		if _, err := fmt.Sscan(string(n), &counts[i]); err != nil {
			return fmt.Errorf("%s/%s: %w", path, name, err)
		}
	}
	if counts[1]+counts[2]+counts[3] > counts[0] {
		return fmt.Errorf("%s: %v of %d runs", path, counts[1:], counts[0])
	}
	return nil
}
