package httpapi_test

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
	"stint/internal/config"
)

// withAccounts starts a server on what apptest.Fill stores.
func withAccounts(t *testing.T) *apptest.Server {
	t.Helper()
	// Of the visibility period whatever day it is.
	now := time.Date(2026, 11, 24, 23, 40, 50, 123e6, time.UTC)
	return apptest.Start(t, apptest.Options{
		Now:       func() time.Time { return now.Add(time.Hour) },
		Configure: func(c *config.Config) { apptest.Fill(t, c.DB, now) },
	})
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	server := withAccounts(t)
	rob := `{"id":"000000000000000000000000000000c2","sourceId":"` + string(apptest.HR) + `","sourceName":"HR","nativeIdentity":"u2","name":"Rob",` +
		`"attributes":{"dept":"Sales","groups":["Users"]},"created":"2026-11-24T23:40:51.123Z","modified":"2026-11-24T23:40:52.123Z",` +
		`"lastChange":"UPDATED","lastTaskId":"` + string(apptest.SecondRun) + `"}`
	if got := get(t, server, "/stint/v1/accounts/000000000000000000000000000000C2").Text(t); got != rob {
		t.Errorf("got  %s\nwant %s", got, rob)
	}
	if got := get(t, server, "/stint/v1/accounts?filters="+url.QueryEscape(`nativeIdentity eq "U2"`)).Text(t); got != "["+rob+"]" {
		t.Errorf("listed %s\nwant [%s]", got, rob)
	}
	g1 := `{"id":"000000000000000000000000000000e1","sourceId":"` + string(apptest.Directory) + `","sourceName":"Directory","attribute":"memberOf",` +
		`"nativeIdentity":"cn=g1","name":"Group 1","displayName":"Group 1","description":"<all>","attributes":{"owner":"Ann"},` +
		`"created":"2026-11-24T23:40:54.123Z","modified":"2026-11-24T23:40:54.123Z","lastChange":"CREATED","lastTaskId":"` + string(apptest.EntitlementsRun) + `"}`
	if got := get(t, server, "/stint/v1/entitlements/000000000000000000000000000000e1").Text(t); got != g1 {
		t.Errorf("got  %s\nwant %s", got, g1)
	}
	if got := get(t, server, "/stint/v1/entitlements/000000000000000000000000000000e2").Text(t); !strings.Contains(got, `"description":"","attributes":{},`) || strings.Contains(got, "displayName") {
		t.Errorf("got %s", got)
	}
	for _, target := range []string{
		"/stint/v1/accounts/000000000000000000000000000000c3", "/stint/v1/accounts/x", "/stint/v1/accounts/000000000000000000000000000000e1",
		"/stint/v1/entitlements/000000000000000000000000000000c1", "/stint/v1/entitlements/x", stintTask(unknownID, "changes"), stintTask("x", "changes"),
	} {
		if got := get(t, server, target); got.Status != 404 {
			t.Errorf("%s: %d %s", target, got.Status, got.Body)
		}
		if got := head(t, server, target); got.Status != 404 {
			t.Errorf("HEAD %s: %d", target, got.Status)
		}
	}
}

func TestAccountLists(t *testing.T) {
	t.Parallel()
	server := withAccounts(t)
	for _, test := range []struct {
		what, filters, more string
		want                string // the native identities
		total               int
	}{
		{"accounts", ``, ``, "U4 u1 u2 cn=ann", 4},
		{"accounts", ``, `&limit=2&offset=1`, "u1 u2", 4},
		{"accounts", ``, `&limit=0`, "", 4},
		{"accounts", ``, `&sorters=nativeIdentity`, "cn=ann u1 u2 U4", 4},
		{"accounts", ``, `&sorters=-name,nativeIdentity`, "u2 cn=ann u1 U4", 4},
		{"accounts", `sourceId eq "` + strings.ToUpper(string(apptest.HR)) + `"`, ``, "U4 u1 u2", 3},
		{"accounts", `nativeIdentity sw "U"`, ``, "u1 u2 U4", 3},
		{"accounts", `name sw "ann s"`, ``, "u1 cn=ann", 2},
		{"accounts", `name in ("ROB", "=dee")`, ``, "U4 u2", 2},
		{"accounts", `attributes."Cost Center" eq 4711`, ``, "u1", 1},
		{"accounts", `attributes.groups eq "admins" and attributes.groups eq users`, ``, "u1", 1},
		{"accounts", `attributes.dept eq sales and not attributes.groups eq admins`, ``, "u2", 1},
		{"accounts", `attributes.groups isnull`, ``, "cn=ann", 1},
		{"accounts", `pr attributes.role and attributes.role in (x, writer)`, ``, "cn=ann", 1},
		{"accounts", `lastChange eq updated`, ``, "u2", 1},
		{"accounts", `lastTaskId eq "` + string(apptest.SecondRun) + `"`, ``, "U4 u2", 2},
		{"accounts", `id in ("000000000000000000000000000000c1", none)`, ``, "u1", 1},
		{"accounts", `name eq nobody`, ``, "", 0},
		{"entitlements", ``, ``, "cn=g1 Reader", 2},
		{"entitlements", `attribute eq ROLE`, ``, "Reader", 1},
		{"entitlements", `value sw "CN=" and sourceId eq "` + string(apptest.Directory) + `"`, ``, "cn=g1", 1},
		{"entitlements", `name eq reader or nativeIdentity eq "cn=G1"`, `&sorters=-name`, "Reader cn=g1", 2},
		{"tasks/" + string(apptest.SecondRun) + "/changes", ``, ``, "U4 u3 u2", 3},
		{"tasks/" + string(apptest.SecondRun) + "/changes", `change in (deleted, updated)`, `&limit=1`, "u3", 2},
		{"tasks/" + string(apptest.SecondRun) + "/changes", `nativeIdentity eq "u4"`, ``, "U4", 1},
		{"tasks/" + string(apptest.EntitlementsRun) + "/changes", ``, ``, "cn=g1 Reader", 2},
	} {
		target := "/stint/v1/" + test.what + "?count=true&filters=" + url.QueryEscape(test.filters) + test.more
		got := get(t, server, target)
		var list []struct{ NativeIdentity string }
		if err := json.Unmarshal([]byte(got.Text(t)), &list); err != nil || got.Status != 200 {
			t.Errorf("%s: %d %s", target, got.Status, got.Body)
			continue
		}
		var identities []string
		for _, e := range list {
			identities = append(identities, e.NativeIdentity)
		}
		if found := strings.Join(identities, " "); found != test.want {
			t.Errorf("%s %s%s: got %s, want %s", test.what, test.filters, test.more, found, test.want)
		}
		for _, answer := range []apptest.Answer{got, head(t, server, target)} {
			if total := answer.Header.Get("X-Total-Count"); total != strconv.Itoa(test.total) {
				t.Errorf("%s %s%s: %s in all, want %d", test.what, test.filters, test.more, total, test.total)
			}
		}
	}
}

func TestTaskChanges(t *testing.T) {
	t.Parallel()
	server := withAccounts(t)
	for id, want := range map[string]string{
		string(apptest.SecondRun): `[{"change":"CREATED","nativeIdentity":"U4","name":"=Dee","changedAttributes":null},` +
			`{"change":"DELETED","nativeIdentity":"u3","name":"Cy","changedAttributes":null},` +
			`{"change":"UPDATED","nativeIdentity":"u2","name":"Rob","changedAttributes":["dept","name"]}]`,
		string(apptest.EntitlementsRun): `[{"change":"CREATED","attribute":"memberOf","nativeIdentity":"cn=g1","name":"Group 1","changedAttributes":null},` +
			`{"change":"CREATED","attribute":"role","nativeIdentity":"Reader","name":"Reader","changedAttributes":null}]`,
	} {
		if diff := cmp.Diff(want, get(t, server, stintTask(id, "changes")).Text(t)); diff != "" {
			t.Errorf("changes of %s (-want +got):\n%s", id, diff)
		}
	}
	launched := server.Send(t, apptest.Request{Method: "POST", Target: "/stint/v1/tasks", Body: `{"type":"IDENTITY_REFRESH"}`})
	var task struct{ ID string }
	if err := json.Unmarshal(launched.Body, &task); err != nil {
		t.Fatal(err)
	}
	if got := get(t, server, stintTask(task.ID, "changes")); got.Status != 200 || got.Text(t) != "[]" {
		t.Errorf("a task without a run: %d %s", got.Status, got.Body)
	}
}

func TestAccountErrors(t *testing.T) {
	t.Parallel()
	server := withAccounts(t)
	for target, want := range map[string]string{
		"/stint/v1/accounts?filters=lastChange+eq+DELETED":                             illegalValue,
		"/stint/v1/accounts?filters=attributes.x+sw+a":                                 content,
		"/stint/v1/accounts?filters=attributes.%22x+eq+a":                              syntax,
		"/stint/v1/accounts?filters=attribute+eq+a":                                    content,
		"/stint/v1/entitlements?filters=attributes.x+eq+a":                             content,
		"/stint/v1/accounts?sorters=created":                                           illegalValue,
		"/stint/v1/accounts?limit=251":                                                 illegalValue,
		"/stint/v1/tasks/" + string(apptest.FirstRun) + "/changes?sorters=change":      content,
		"/stint/v1/tasks/" + string(apptest.FirstRun) + "/changes?filters=change+eq+x": illegalValue,
		"/stint/v1/tasks/" + string(apptest.FirstRun) + "/changes?filters=name+eq+x":   content,
		"/task-status/v1?filters=launcher+sw+a":                                        content,
		"/stint/v1/tasks?filters=attributes.%22x%22+eq+a":                              content,
	} {
		got := get(t, server, target)
		var body struct{ DetailCode string }
		if err := json.Unmarshal(got.Body, &body); err != nil || got.Status != 400 || body.DetailCode != want {
			t.Errorf("%s: %d %s", target, got.Status, got.Body)
		}
	}
	for _, target := range []string{"/stint/v1/accounts", "/stint/v1/entitlements/" + unknownID} {
		if got := server.Send(t, apptest.Request{Method: "DELETE", Target: target}); got.Status != 405 {
			t.Errorf("DELETE %s: %d", target, got.Status)
		}
	}
}
