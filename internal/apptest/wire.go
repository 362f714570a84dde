package apptest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Form says which form of a task of Stint's own a body should have.
type Form int

// The forms.
const (
	Plain       Form = iota // an element of a list, an answer to cancel or wait
	WithHistory             // a single task
	Launched                // the answer to a launch
)

// DecodeTaskStatus says what in data breaks the contract of one TaskStatus.
func DecodeTaskStatus(data []byte) error { return decode(data, aTaskStatus()) }

// DecodeList says what in data breaks the contract of a list of TaskStatus.
func DecodeList(data []byte) error {
	return decode(data, inAll(anArray(aTaskStatus()), noIDTwice))
}

// DecodeStintTask says what in data breaks the contract of a task of Stint's own
// resources.
func DecodeStintTask(data []byte, form Form) error { return decode(data, aStintTask(form)) }

// DecodeStintList says what in data breaks the contract of a list of Stint's own
// tasks.
func DecodeStintList(data []byte) error {
	return decode(data, inAll(anArray(aStintTask(Plain)), noIDTwice))
}

// DecodeReportAnswer says what in data breaks the contract of the answer to an
// accepted report.
func DecodeReportAnswer(data []byte) error {
	return decode(data, inAll(anObject(map[string]member{
		"id":               {check: anID},
		"attempt":          {check: aWhole(1, math.MaxInt32)},
		"state":            {check: oneOf("queued", "running", "completed")},
		"stop":             {check: aBool},
		"reason":           {check: orNull(someText)},
		"completionStatus": {check: orNull(aCompletionStatus)},
	}), stateAgrees))
}

// DecodeDefinitions says what in data breaks the contract of the list of
// definitions.
func DecodeDefinitions(data []byte) error {
	return decode(data, anArray(anObject(map[string]member{
		"name":        {check: someText},
		"displayName": {check: someText},
		"description": {check: aString},
		"executor":    {check: someText},
	})))
}

// DecodeError says what in data breaks the contract of an error body with an
// HTTP status. Only an error about a report may, and a 409 must, say why in
// "refused".
func DecodeError(data []byte, status int, report bool) error {
	if status == 401 {
		return decode(data, anObject(map[string]member{"error": {check: someText}}))
	}
	if status == 429 {
		return decode(data, anObject(map[string]member{"message": {check: oneOf(" Rate Limit Exceeded ")}}))
	}
	members := map[string]member{
		"detailCode": {check: aDetailCode(status)},
		"trackingId": {check: matching(trackingForm, "32 hex digits")},
		"messages":   {check: inAll(anArray(anErrorText), notEmpty)},
		"causes":     {check: anArray(anErrorText)},
	}
	if status < 500 {
		members["causes"] = member{check: inAll(anArray(anErrorText), notEmpty)}
	}
	if report && (status == 403 || status == 409) {
		members["refused"] = member{check: oneOf("stale", "late", "duplicate")}
		members["stop"] = member{check: isTrue, optional: true}
		if status == 403 {
			// A 403 may have other reasons than the report's token.
			members["refused"] = member{check: oneOf("token"), optional: true}
			delete(members, "stop")
		}
	}
	return decode(data, inAll(anObject(members), func(_ string, v any) error {
		// Whoever was only taken for lost may be well, and is not told to stop.
		lost := strings.Contains(string(data), "the task ended as TEMPERROR at ")
		if object, ok := v.(map[string]any); ok && object["refused"] == "late" && object["stop"] != true && !lost {
			return errors.New(`/stop must be true where /refused is "late", unless the task was taken for lost`)
		}
		return nil
	}))
}

func decode(data []byte, c check) error {
	v, err := parse(data)
	if err != nil {
		return err
	}
	return c("", v)
}

func aTaskStatus() check {
	return inAll(anObject(taskMembers()), completionAgrees, modifiedFollowsCreated)
}

func aStintTask(form Form) check {
	members := taskMembers()
	maps.Copy(members, map[string]member{
		"kind":                  {check: someText},
		"sourceId":              {check: orNull(someText)},
		"state":                 {check: oneOf("queued", "running", "completed")},
		"attempt":               {check: aWhole(1, math.MaxInt32)},
		"lastHeartbeat":         {check: orNull(aDateTime)},
		"heartbeatLimitSeconds": {check: orNull(aWhole(1, 86400))},
		"cancelRequested":       {check: orNull(aDateTime)},
		"waiting":               {check: orNull(someText)},
		"durationMs":            {check: orNull(aWhole(math.MinInt64, math.MaxInt64))},
	})
	switch form {
	case Plain:
	case WithHistory:
		members["history"] = member{check: inAll(anArray(anEvent), inOrderOfTime)}
	case Launched:
		members["reportToken"] = member{check: someText, optional: true}
		return inAll(anObject(members), completionAgrees, modifiedFollowsCreated, stateAgrees, tokenAgrees)
	}
	return inAll(anObject(members), completionAgrees, modifiedFollowsCreated, stateAgrees)
}

func taskMembers() map[string]member {
	return map[string]member{
		"id":                    {check: anID},
		"type":                  {check: oneOf("QUARTZ", "QPOC", "QUEUED_TASK")},
		"uniqueName":            {check: aString},
		"description":           {check: aString},
		"parentName":            {check: orNull(aString)},
		"launcher":              {check: aString},
		"created":               {check: aDateTime},
		"modified":              {check: aDateTime},
		"launched":              {check: orNull(aDateTime)},
		"completed":             {check: orNull(aDateTime)},
		"completionStatus":      {check: orNull(aCompletionStatus)},
		"messages":              {check: anArray(aMessage)},
		"returns":               {check: anArray(aReturn)},
		"attributes":            {check: anyObject},
		"progress":              {check: orNull(aString)},
		"percentComplete":       {check: aWhole(0, 100)},
		"target":                {check: orNull(aTarget), optional: true},
		"taskDefinitionSummary": {check: aSummary, optional: true},
	}
}

func aCompletionStatus(path string, v any) error {
	return oneOf("SUCCESS", "WARNING", "ERROR", "TERMINATED", "TEMPERROR")(path, v)
}

func aMessage(path string, v any) error {
	return anObject(map[string]member{
		"type": {check: oneOf("INFO", "WARN", "ERROR")},
		"key":  {check: aString},
		"localizedText": {check: anObject(map[string]member{
			"locale":  {check: aString},
			"message": {check: aString},
		})},
		"parameters": {check: orNull(anArray(aParameter))},
	})(path, v)
}

// aParameter: a number or an empty object breaks one of the official clients.
func aParameter(path string, v any) error {
	switch v := v.(type) {
	case string:
		return nil
	case map[string]any:
		if len(v) > 0 {
			return nil
		}
	}
	return breach(path, v, "a string or an object that is not empty")
}

func aReturn(path string, v any) error {
	return anObject(map[string]member{
		"name":          {check: aString},
		"attributeName": {check: aString},
	})(path, v)
}

func aTarget(path string, v any) error {
	return anObject(map[string]member{
		"id":   {check: aString},
		"type": {check: orNull(oneOf("APPLICATION", "IDENTITY"))},
		"name": {check: aString},
	})(path, v)
}

func aSummary(path string, v any) error {
	return anObject(map[string]member{
		"id":          {check: aString},
		"uniqueName":  {check: aString},
		"description": {check: aString},
		"parentName":  {check: aString},
		"executor":    {check: aString},
		"arguments":   {check: anyObject},
	})(path, v)
}

func anEvent(path string, v any) error {
	return anObject(map[string]member{
		"at": {check: aDateTime},
		"event": {check: oneOf("launched", "imported", "replaced", "started", "cancelRequested", "stopTold",
			"completed", "cleared", "cancelled", "lost", "expired", "refused", "interrupted", "noted")},
		"attempt": {check: aWhole(1, math.MaxInt64)},
		"actor":   {check: aString},
		"text":    {check: aString},
		"count":   {check: aWhole(1, math.MaxInt64)},
	})(path, v)
}

func anErrorText(path string, v any) error {
	return anObject(map[string]member{
		"locale":       {check: oneOf("en-US")},
		"localeOrigin": {check: oneOf("DEFAULT")},
		"text":         {check: someText},
	})(path, v)
}

func aDetailCode(status int) check {
	return oneOf(map[int][]string{
		400: {
			"400.0 Bad Request Syntax", "400.1 Bad Request Content", "400.1.0 Required data missing or empty",
			"400.1.1 Illegal update attempt", "400.1.3 Illegal value",
		},
		403: {"403.0 Forbidden"},
		404: {"404.0 Not Found"},
		405: {"405.0 Method Not Allowed"},
		406: {"406.0 Not Acceptable"},
		409: {"409.0 Conflict"},
		412: {"412.0 Precondition Failed"},
		413: {"413.0 Content Too Large"},
		415: {"415.0 Unsupported Media Type"},
		500: {"500.0 Internal Fault"},
		503: {"503.0 Service Unavailable"},
	}[status]...)
}

var (
	idForm       = regexp.MustCompile(`^[0-9a-f]{32}$`)
	trackingForm = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)
	dateTimeForm = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$`)
)

func matching(form *regexp.Regexp, want string) check {
	return func(path string, v any) error {
		if s, ok := v.(string); !ok || !form.MatchString(s) {
			return breach(path, v, want)
		}
		return nil
	}
}

func anID(path string, v any) error { return matching(idForm, "32 lower-case hex digits")(path, v) }

// aDateTime checks the form, which one official client depends on to the
// letter, and that there is such a day and hour.
func aDateTime(path string, v any) error {
	s, _ := v.(string)
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", s); err != nil || !dateTimeForm.MatchString(s) {
		return breach(path, v, "a date-time as 2026-11-24T23:40:50.123Z")
	}
	return nil
}

func isTrue(path string, v any) error {
	if v != true {
		return breach(path, v, "true")
	}
	return nil
}

func notEmpty(path string, v any) error {
	if array, ok := v.([]any); ok && len(array) == 0 {
		return breach(path, v, "at least one element")
	}
	return nil
}

// inAll joins what several checks find.
func inAll(checks ...check) check {
	return func(path string, v any) error {
		var errs []error
		for _, c := range checks {
			errs = append(errs, c(path, v))
		}
		return errors.Join(errs...)
	}
}

func completionAgrees(path string, v any) error {
	object, ok := v.(map[string]any)
	if ok && (object["completed"] == nil) != (object["completionStatus"] == nil) {
		return fmt.Errorf("%s/completed is %s but %s/completionStatus is %s",
			path, show(object["completed"]), path, show(object["completionStatus"]))
	}
	return nil
}

func modifiedFollowsCreated(path string, v any) error {
	object, _ := v.(map[string]any)
	created, _ := object["created"].(string)
	modified, _ := object["modified"].(string)
	// The form makes the order of the text that of the times.
	if dateTimeForm.MatchString(created) && dateTimeForm.MatchString(modified) && modified < created {
		return fmt.Errorf("%s/modified is %s, before %s/created %s", path, modified, path, created)
	}
	return nil
}

func stateAgrees(path string, v any) error {
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	var errs []error
	if (object["state"] == "completed") != (object["completionStatus"] != nil) {
		errs = append(errs, fmt.Errorf("%s/state is %s but %s/completionStatus is %s",
			path, show(object["state"]), path, show(object["completionStatus"])))
	}
	if launched, there := object["launched"]; there && object["state"] == "running" && launched == nil {
		errs = append(errs, fmt.Errorf("%s/state is running but %s/launched is null", path, path))
	}
	if object["waiting"] != nil && object["state"] != "queued" {
		errs = append(errs, fmt.Errorf("%s/waiting is set but %s/state is %s", path, path, show(object["state"])))
	}
	return errors.Join(append(errs, durationAgrees(path, object))...)
}

// durationAgrees checks that a task says how long it ran once it has.
func durationAgrees(path string, object map[string]any) error {
	from, _ := object["launched"].(string)
	to, _ := object["completed"].(string)
	var want any
	if from != "" && to != "" {
		start, err := time.Parse(time.RFC3339, from)
		end, err2 := time.Parse(time.RFC3339, to)
		if err != nil || err2 != nil {
			return nil //nolint:nilerr // the times are complained of by themselves
		}
		want = number(strconv.FormatInt(end.Sub(start).Milliseconds(), 10))
	}
	if got := object["durationMs"]; got != want {
		return fmt.Errorf("%s/durationMs is %s and not %s", path, show(got), show(want))
	}
	return nil
}

// tokenAgrees checks that who is to report can: a task that Stint runs itself has
// no token.
func tokenAgrees(path string, v any) error {
	object, _ := v.(map[string]any)
	switch _, there := object["reportToken"]; {
	case there && object["type"] == "QUARTZ":
		return fmt.Errorf("%s/reportToken does not belong to a task that Stint runs itself", path)
	case !there && object["type"] != "QUARTZ":
		return fmt.Errorf("%s/reportToken is missing", path)
	}
	return nil
}

func noIDTwice(path string, v any) error {
	array, _ := v.([]any)
	var seen []string
	for _, element := range array {
		object, _ := element.(map[string]any)
		id, _ := object["id"].(string)
		if slices.Contains(seen, id) {
			return fmt.Errorf("%s: the id %s is there twice", path, id)
		}
		seen = append(seen, id)
	}
	return nil
}

func inOrderOfTime(path string, v any) error {
	array, _ := v.([]any)
	last := ""
	for i, element := range array {
		object, _ := element.(map[string]any)
		at, _ := object["at"].(string)
		if count, _ := object["count"].(number); count != "1" {
			continue // it stands where the first of several came, and tells of the last
		}
		if strings.Compare(at, last) < 0 {
			return fmt.Errorf("%s/%d/at is %s, before %s: oldest first", path, i, at, last)
		}
		last = at
	}
	return nil
}
