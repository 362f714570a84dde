package httpapi_test

import (
	"strings"
	"testing"

	"stint/internal/apptest"
	"stint/internal/principal"
)

// actor is a caller of a server, and what it is called in a test.
type actor struct {
	name  string
	token string
}

func (a actor) header() []string { return []string{"Authorization", "Bearer " + a.token} }

// acts are the things that take a source: each tries one on a source, and returns
// what was answered.
func acts(t *testing.T, server *apptest.Server) map[string]func(by actor, source string) apptest.Answer {
	t.Helper()
	taskOf := func(source string) string {
		id, _ := launch(t, server, `{"type":"IDENTITY_REFRESH","sourceId":"`+source+`"}`)
		return id
	}
	aggregation := func(kind string) func(actor, string) apptest.Answer {
		return func(by actor, source string) apptest.Answer {
			return post(t, server, "/stint/v1/tasks", `{"type":"`+kind+`","sourceId":"`+source+`"}`, by.header()...)
		}
	}
	return map[string]func(actor, string) apptest.Answer{
		"patch the source": func(by actor, source string) apptest.Answer {
			return patchSource(t, server, source, mergePatch, `{"description":"by `+by.name+`"}`, by.header()...)
		},
		"load accounts": func(by actor, source string) apptest.Answer {
			return sendForm(t, server, loadAccounts(source), form(filePart("id\n1\n")), by.header()...)
		},
		"load entitlements": func(by actor, source string) apptest.Answer {
			return sendForm(t, server, loadEntitlements(source), form(filePart("id,name\n1,a\n")), by.header()...)
		},
		"launch an aggregation":             aggregation("CLOUD_ACCOUNT_AGGREGATION"),
		"launch an entitlement aggregation": aggregation("CLOUD_GROUP_AGGREGATION"),
		"launch an aggregation with a file": func(by actor, source string) apptest.Answer {
			body := form(field("launch", `{"type":"CLOUD_ACCOUNT_AGGREGATION","sourceId":"`+source+`"}`), filePart("id\n1\n"))
			return sendForm(t, server, "/stint/v1/tasks", body, by.header()...)
		},
		"launch a task of others": func(by actor, source string) apptest.Answer {
			return post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH","sourceId":"`+source+`"}`, by.header()...)
		},
		"launch a task of others by its target": func(by actor, source string) apptest.Answer {
			body := `{"type":"IDENTITY_REFRESH","target":{"id":"` + source + `","type":"APPLICATION","name":"s"}}`
			return post(t, server, "/stint/v1/tasks", body, by.header()...)
		},
		"launch an aggregation that others run": func(by actor, source string) apptest.Answer {
			body := `{"type":"CLOUD_ACCOUNT_AGGREGATION","executor":"external","sourceId":"` + source + `"}`
			return post(t, server, "/stint/v1/tasks", body, by.header()...)
		},
		"clear a task": func(by actor, source string) apptest.Answer {
			return patch(t, server, taskOf(source), clearAs("ERROR"), by.header()...)
		},
		"cancel a task": func(by actor, source string) apptest.Answer {
			return post(t, server, stintTask(taskOf(source), "cancel"), `{}`, by.header()...)
		},
	}
}

// One who is limited to sources acts on those alone, and reads everything.
func TestLimitedLevels(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	own, _ := createSource(t, server, strings.Replace(leastSource, `"name":"`, `"name":"own `, 1))
	other, _ := createSource(t, server, strings.Replace(leastSource, `"name":"`, `"name":"other `, 1))
	as := func(name string, sources []string, levels ...principal.Level) actor {
		return actor{name, server.TokenOf(t, principal.Client{User: name, Levels: levels, Sources: sources})}
	}
	limited := []actor{
		as("a source subadmin", []string{own}, principal.SourceSubadmin),
		as("a source subadmin who may see", []string{unknownID, own}, principal.Helpdesk, principal.SourceSubadmin),
		as("in another form", []string{dashed(own)}, principal.SourceSubadmin),
	}
	role := as("a role subadmin", []string{own}, principal.RoleSubadmin)
	none := as("one without sources", nil, principal.SourceSubadmin)
	unlimited := as("a source admin, too", []string{own}, principal.SourceSubadmin, principal.SourceAdmin)
	d := openDatabase(t, server)
	const stored = "SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM audit WHERE action = 'source.update') + " + looseUploads
	for name, act := range acts(t, server) {
		before := d.count(stored)
		for _, by := range append(limited, none, role) {
			answer := act(by, other)
			if answer.Status != 403 {
				t.Errorf("%s, %s, on another source: %d %s", by.name, name, answer.Status, answer.Body)
				continue
			}
			if by == role && !taskOnly(name) {
				continue // that is no right of a role subadmin anywhere
			}
			wantError(t, answer, 403, "403.0 Forbidden", other, "the token is for")
		}
		if after := d.count(stored); after != before {
			t.Errorf("%s: something was stored", name)
		}
		wantError(t, act(none, own), 403, "403.0 Forbidden", own, "the token is for none")
		for _, by := range append(limited, unlimited, role) {
			if by == role && !taskOnly(name) {
				wantError(t, act(by, own), 403, "", "user levels")
				continue
			}
			if answer := act(by, own); answer.Status == 401 || answer.Status == 403 || answer.Status >= 500 {
				t.Errorf("%s, %s, on the own source: %d %s", by.name, name, answer.Status, answer.Body)
			}
		}
		if answer := act(unlimited, other); answer.Status == 401 || answer.Status == 403 || answer.Status >= 500 {
			t.Errorf("%s, %s: %d %s", unlimited.name, name, answer.Status, answer.Body)
		}
	}
	loose, _ := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	for _, by := range append(limited, none, role) {
		wantError(t, patch(t, server, loose, clearAs("ERROR"), by.header()...), 403, "", "belongs to no source")
		wantError(t, post(t, server, stintTask(loose, "cancel"), ``, by.header()...), 403, "", "belongs to no source")
		wantError(t, post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, by.header()...), 403, "", "belongs to no source")
		for _, target := range []string{
			"/task-status/v1", "/task-status/v1/" + loose, stintTask(loose), "/stint/v1/sources/" + other, "/stint/v1/entitlements",
		} {
			wantStatus(t, get(t, server, target, by.header()...), 200)
		}
	}
	// Of many that are to be cleared, it is those of the own source.
	mine, _ := launch(t, server, `{"type":"IDENTITY_REFRESH","uniqueName":"of many","sourceId":"`+own+`"}`)
	theirs, _ := launch(t, server, `{"type":"IDENTITY_REFRESH","uniqueName":"of many","sourceId":"`+other+`"}`)
	for _, dry := range []string{"true", "false"} {
		outcome := map[string]string{"true": "wouldClear", "false": "cleared"}[dry]
		answer := post(t, server, "/stint/v1/tasks/clear",
			`{"filters":"uniqueName eq \"of many\"","completionStatus":"ERROR","reason":"r","dryRun":`+dry+`}`, limited[0].header()...)
		wantSubset(t, answer, 200, `{"matched":2,"tasks":[{"id":"`+mine+`","outcome":"`+outcome+`"},{"id":"`+theirs+`","outcome":"refused"}]}`)
		if !strings.Contains(answer.Text(t), "the token is for") {
			t.Errorf("why was it refused? %s", answer.Text(t))
		}
	}
	wantSubset(t, get(t, server, stintTask(theirs)), 200, `{"state":"queued"}`)
	wantStatus(t, patch(t, server, loose, clearAs("ERROR"), unlimited.header()...), 200)
}

// looseUploads counts the uploads that are neither a task's nor garbage.
const looseUploads = "(SELECT count(*) FROM uploads WHERE task_id IS NULL AND id NOT IN (SELECT ref FROM garbage))"

// taskOnly tells what is done to tasks from what is done to sources.
func taskOnly(act string) bool {
	return strings.Contains(act, "a task") || strings.Contains(act, "others run")
}

// dashed writes an id as a UUID, in upper case.
func dashed(id string) string {
	id = strings.ToUpper(id)
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

// What a launch starts takes a right of its own: the route lets more people in.
func TestLaunchTakesTheRightOfWhatItStarts(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	source, _ := createSource(t, server, leastSource)
	admin := server.Admin(t)
	with := func(scope principal.Scope) actor { return actor{string(scope), server.Token(t, admin, scope)} }
	tasks, accounts, entitlements := with(principal.TasksWrite), with(principal.SourcesManage), with(principal.EntitlementsManage)
	roles := actor{"roles", server.TokenOf(t, principal.Client{Levels: []principal.Level{principal.RoleAdmin}})}
	program := actor{"program", server.TokenOf(t, principal.Client{Sort: principal.Application})}
	all := acts(t, server)
	for name, allowed := range map[string][]actor{
		"launch an aggregation":                 {accounts},
		"launch an aggregation with a file":     {accounts},
		"launch an entitlement aggregation":     {entitlements},
		"launch a task of others":               {tasks, roles, program},
		"launch an aggregation that others run": {tasks, roles, program},
	} {
		for _, by := range []actor{tasks, accounts, entitlements, roles, program} {
			may := false
			for _, one := range allowed {
				may = may || one == by
			}
			answer := all[name](by, source)
			if (answer.Status == 403) == may || answer.Status == 401 || answer.Status >= 500 {
				t.Errorf("%s as %s: %d %s", name, by.name, answer.Status, answer.Body)
			}
		}
	}
	body := form(field("launch", `{"type":"CLOUD_ACCOUNT_AGGREGATION","sourceId":"`+source+`"}`), filePart("id\n1\n"))
	wantError(t, sendForm(t, server, "/stint/v1/tasks", body, program.header()...), 403, "", "application")
	if n := openDatabase(t, server).count("SELECT " + looseUploads); n != 0 {
		t.Errorf("%d uploads of refused launches are left", n)
	}
}
