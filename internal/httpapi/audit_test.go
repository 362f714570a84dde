package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
)

const auditPath = "/stint/v1/audit"

// entry is an audit entry as it is answered.
type entry struct {
	ID, Created, Action, Actor, Client, Address, Agent, RequestID, Object, Reason, Words string
	Before, After                                                                        json.RawMessage
}

func auditList(t *testing.T, server *apptest.Server, filter string, more ...string) ([]entry, apptest.Answer) {
	t.Helper()
	answer := get(t, server, auditPath+"?filters="+url.QueryEscape(filter)+strings.Join(more, ""))
	wantStatus(t, answer, 200)
	var entries []entry
	if err := json.Unmarshal([]byte(answer.Text(t)), &entries); err != nil {
		t.Fatal(err)
	}
	return entries, answer
}

func actionsOf(entries []entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Action)
	}
	return strings.Join(all, " ")
}

func TestAuditAnswersWhoClearedWhatAndWhy(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(time.Date(2026, 11, 24, 23, 40, 50, 123e6, time.UTC).UnixMilli())
	server := apptest.Start(t, apptest.Options{Now: func() time.Time { return time.UnixMilli(clock.Load()) }})
	one, _ := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	before := get(t, server, "/task-status/v1/"+one)
	clock.Add(1000)
	words := " " + clearAs("Terminated") + "\n"
	after := patch(t, server, one, words, "Stint-Reason", "its worker is gone", "User-Agent", "test/1", "X-Request-Id", unknownID)
	wantStatus(t, after, 200)
	wantStatus(t, patch(t, server, one, words), 200) // a repeat changes nothing
	clock.Add(1000)
	other, _ := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	clock.Add(1000)
	wantStatus(t, post(t, server, stintTask(other, "cancel"), `{"reason":"mistake"}`), 202)

	both := `object in ("` + one + `","` + strings.ToUpper(other) + `")`
	entries, answer := auditList(t, server, both, "&count=true")
	if got := actionsOf(entries); got != "task.cancel task.launch task.clear task.launch" {
		t.Fatalf("listed %s", got)
	}
	if got := answer.Header.Get("X-Total-Count"); got != "4" {
		t.Errorf("the count is %q", got)
	}
	cleared := entries[2]
	if cleared.Actor == "" || cleared.Address == "" {
		t.Errorf("who, and from where: %+v", cleared)
	}
	want := entry{
		ID: cleared.ID, Created: "2026-11-24T23:40:51.123Z", Action: "task.clear", Actor: cleared.Actor, Client: cleared.Client,
		Address: cleared.Address, Agent: "test/1", RequestID: unknownID, Object: one, Reason: "its worker is gone", Words: words,
		Before: json.RawMessage(before.Text(t)), After: json.RawMessage(after.Text(t)),
	}
	if diff := cmp.Diff(want, cleared); diff != "" {
		t.Errorf("the clear (-want +got):\n%s", diff)
	}
	if string(entries[3].Before) != "null" || !strings.Contains(string(entries[3].After), one) || entries[0].Reason != "mistake" {
		t.Errorf("the others: %+v", entries)
	}

	for filter, want := range map[string]string{
		`action eq "TASK.CLEAR" and ` + both:                     "task.clear",
		`not action eq task.launch and ` + both:                  "task.cancel task.clear",
		`created ge 2026-11-24T23:40:51.123Z and ` + both:        "task.cancel task.launch task.clear",
		`created gt 2026-11-24T23:40:51.123Z and ` + both:        "task.cancel task.launch",
		`created lt 1795563651123 and ` + both:                   "task.launch",
		`created le "2026-11-25 00:40:51,123+01:00" and ` + both: "task.clear task.launch",
		`requestId eq ` + unknownID:                              "task.clear",
		`id eq ` + cleared.ID:                                    "task.clear",
		`object eq "` + one + `" and actor eq nobody`:            "",
	} {
		entries, _ := auditList(t, server, filter)
		if got := actionsOf(entries); got != want {
			t.Errorf("%s: %q, want %q", filter, got, want)
		}
	}
	entries, _ = auditList(t, server, both, "&sorters=created&offset=1&limit=2")
	if got := actionsOf(entries); got != "task.clear task.launch" {
		t.Errorf("the second page, oldest first: %s", got)
	}
}

func TestAuditEntry(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, _ := createSource(t, server, leastSource, "Stint-Reason", "é <new>")
	entries, _ := auditList(t, server, `object eq "`+id+`"`)
	if len(entries) != 1 {
		t.Fatalf("%d entries", len(entries))
	}
	path := auditPath + "/" + entries[0].ID
	answer := get(t, server, path)
	wantStatus(t, answer, 200)
	var got entry
	if err := json.Unmarshal([]byte(answer.Text(t)), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entries[0], got); diff != "" {
		t.Errorf("listed and got (-listed +got):\n%s", diff)
	}
	wantStatus(t, get(t, server, auditPath+"/"+strings.ToUpper(entries[0].ID)), 200)
	wantStatus(t, get(t, server, path, "If-None-Match", answer.Header.Get("ETag")), 304)
	wantStatus(t, head(t, server, path), 200)
	for _, id := range []string{unknownID, "1", "ffffffffffffffffffffffffffffffff", "0000000000000001" + "00000000000000ff"} {
		wantError(t, get(t, server, auditPath+"/"+id), 404, "404.0 Not Found", "audit entry")
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		answer := server.Send(t, apptest.Request{Method: method, Target: path})
		wantError(t, answer, 405, "", "GET, HEAD")
	}
	wantError(t, get(t, server, auditPath+"?filters=action+eq+task.clean"), 400, illegalValue, "task.clear")
	wantError(t, get(t, server, auditPath+"?filters=created+gt+now"), 400, illegalValue, "RFC 3339")
	if got := head(t, server, auditPath+"?limit=0&count=true&filters="+url.QueryEscape(`object eq "`+id+`"`)).Header.Get("X-Total-Count"); got != "1" {
		t.Errorf("the count is %q", got)
	}
}

// A page of large entries is written as it is read; nothing of it may be missing
// or stand twice.
func TestAuditOfLargeTasksIsWhole(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	const tasks = 20
	large := strings.Repeat("x", 200<<10)
	var ids []string
	for i := range tasks {
		id, _ := launch(t, server, fmt.Sprintf(`{"type":"IDENTITY_REFRESH","attributes":{"n":%d,"x":%q}}`, i, large))
		ids = append(ids, id)
	}
	entries, _ := auditList(t, server, "action eq task.launch", "&sorters=created")
	if len(entries) != tasks {
		t.Fatalf("%d entries, want %d", len(entries), tasks)
	}
	at := map[string]int{}
	for i, id := range ids {
		at[id] = i
	}
	for _, e := range entries {
		var after struct {
			ID         string
			Attributes struct {
				N int
				X string
			}
		}
		if err := json.Unmarshal(e.After, &after); err != nil {
			t.Fatal(err)
		}
		if n, ok := at[after.ID]; !ok || n != after.Attributes.N || after.Attributes.X != large || e.Object != after.ID {
			t.Errorf("the entry of %s holds %s, number %d", e.Object, after.ID, after.Attributes.N)
		}
		delete(at, after.ID)
	}
}
