package httpapi_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
)

// importLine is a task in progress as a line of an import.
func importLine(id string, created time.Time) string {
	at := created.UTC().Format("2006-01-02T15:04:05.000Z")
	return `{"id":"` + id + `","kind":"IDENTITY_REFRESH","sourceId":null,"type":"QPOC","uniqueName":"n","description":"","parentName":null,` +
		`"launcher":"patcher","target":null,"created":"` + at + `","modified":"` + at + `","launched":"` + at + `","completed":null,` +
		`"completionStatus":null,"messages":[],"returns":[],"attributes":{},"progress":null,"percentComplete":40}` + "\n"
}

func TestVisibilityEndsAtTheInstant(t *testing.T) {
	t.Parallel()
	// Not before the real time: the deadlines of connections follow this clock.
	created := time.Now().Truncate(time.Millisecond)
	var clock atomic.Pointer[time.Time]
	set := func(d time.Duration) { now := created.Add(d); clock.Store(&now) }
	set(0)
	server := apptest.Start(t, apptest.Options{
		Import: []byte(importLine(unknownID, created)), Now: func() time.Time { return *clock.Load() },
	})
	const period = 90 * 24 * time.Hour
	for _, test := range []struct {
		age     time.Duration
		visible bool
	}{{0, true}, {period - time.Millisecond, true}, {period, false}, {period + time.Millisecond, false}, {10 * period, false}} {
		set(test.age)
		status, total := 404, "0"
		if test.visible {
			status, total = 200, "1"
		}
		for _, path := range append(spellings(), "/stint/v1/tasks") {
			if got := get(t, server, path+"/"+unknownID).Status; got != status {
				t.Errorf("%s at the age of %s: status %d, want %d", path, test.age, got, status)
			}
			list := get(t, server, path+"?count=true")
			if n := len(ids(decoded(t, list))); (n == 1) != test.visible || list.Header.Get("X-Total-Count") != total {
				t.Errorf("%s at the age of %s: %d listed, X-Total-Count %s", path, test.age, n, list.Header.Get("X-Total-Count"))
			}
		}
		if !test.visible {
			wantError(t, patch(t, server, unknownID, clearAs("ERROR")), 404, "404.0 Not Found")
			wantStatus(t, get(t, server, stintTask(unknownID, "wait")), 404)
			wantStatus(t, post(t, server, stintTask(unknownID, "cancel"), ""), 404)
		}
	}
}

func TestPagesOfTasksOfOneInstantHoldEachOnce(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	var all []string
	for i := range 23 {
		// No order of the ids is that of the lines.
		id := fmt.Sprintf("%032x", (i*7919)%104729)
		all = append(all, id)
		lines.WriteString(importLine(id, startOfTests.Add(-time.Hour)))
	}
	slices.Sort(all)
	server := apptest.Start(t, apptest.Options{Import: []byte(lines.String())})
	for sorters, want := range map[string][]string{"created": all, "-created": reversed(all), "": reversed(all)} {
		for _, size := range []int{1, 4, 23, 250} {
			var got []string
			for offset := 0; ; offset += size {
				page := ids(decoded(t, get(t, server, fmt.Sprintf("/task-status/v1?limit=%d&offset=%d&sorters=%s", size, offset, sorters))))
				got = append(got, page...)
				if len(page) < size {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sorters %q by %d (-want +got):\n%s", sorters, size, diff)
			}
		}
	}
}

func reversed(s []string) []string {
	r := slices.Clone(s)
	slices.Reverse(r)
	return r
}

func TestOfClearsAtOnceOneWins(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	statuses := []string{"SUCCESS", "WARNING", "ERROR", "TERMINATED", "TEMPERROR"}
	answers := make([]apptest.Answer, 4*len(statuses))
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() { answers[i] = patch(t, server, inProgress, clearAs(statuses[i%len(statuses)])) })
	}
	wait.Wait()
	final := decoded(t, get(t, server, "/task-status/v1/"+inProgress))
	for i, answer := range answers {
		if member(final, "completionStatus") == statuses[i%len(statuses)] {
			wantStatus(t, answer, 200)
			if diff := cmp.Diff(final, decoded(t, answer)); diff != "" {
				t.Errorf("an answer is not what is stored (-stored +answered):\n%s", diff)
			}
			continue
		}
		wantError(t, answer, 400, illegalUpdate, fmt.Sprint(member(final, "completionStatus")))
	}
	if diff := cmp.Diff([]string{"imported", "cleared"}, events(t, server, inProgress)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestOfLaunchesWithOneKeyAtOnceOneLaunches(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	answers := make([]apptest.Answer, 12)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() {
			answers[i] = post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, "Idempotency-Key", "once")
		})
	}
	wait.Wait()
	first := 0
	for _, answer := range answers {
		wantStatus(t, answer, 202)
		if answer.Header.Get("Idempotency-Replayed") == "" {
			first++
		}
		if string(answer.Body) != string(answers[0].Body) {
			t.Errorf("two answers differ:\n%s\n%s", answer.Body, answers[0].Body)
		}
	}
	if total := get(t, server, "/stint/v1/tasks?count=true").Header.Get("X-Total-Count"); total != "1" || first != 1 {
		t.Errorf("%s tasks, %d launches that were not repeats: want one", total, first)
	}
}

func TestWaitAnswersWhenTheTaskEnds(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	for name, end := range map[string]func(id, token string){
		"reported":  func(id, token string) { report(t, server, id, token, `{"attempt":1,"completionStatus":"SUCCESS"}`) },
		"cleared":   func(id, _ string) { patch(t, server, id, clearAs("SUCCESS")) },
		"cancelled": func(id, _ string) { post(t, server, stintTask(id, "cancel"), "") },
	} {
		id, token := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
		answered := make(chan apptest.Answer, 3)
		for range cap(answered) {
			go func() { answered <- get(t, server, stintTask(id, "wait")+"?timeout=50") }()
		}
		// Its own progress does not end a wait.
		wantStatus(t, get(t, server, stintTask(id, "wait")+"?timeout=0"), 200)
		end(id, token)
		for range cap(answered) {
			if body := decoded(t, <-answered); member(body, "state") != "completed" {
				t.Errorf("%s: the wait ended with %v", name, body)
			}
		}
	}
}

func TestImportedTaskBelongsToWhoeverRanIt(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	// Its clock does not run and nobody holds its token.
	wantSubset(t, get(t, server, stintTask(inProgress)), 200, `{"state":"running","attempt":1,"lastHeartbeat":null,"heartbeatLimitSeconds":null,
"cancelRequested":null,"waiting":null,"kind":"ACCOUNT_DELETION","sourceId":"b51ee092e2cbeb9d6522771827ed97b3"}`)
	if diff := cmp.Diff([]string{"imported"}, events(t, server, inProgress)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	wantSubset(t, post(t, server, stintTask(inProgress, "cancel"), `{"reason":"gone"}`), 202, `{"state":"completed","completionStatus":"TERMINATED","percentComplete":40}`)
	if diff := cmp.Diff([]string{"imported", "cancelled"}, events(t, server, inProgress)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}
