package httpapi_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
	"stint/internal/audit"
	"stint/internal/principal"
)

const (
	tokensPath       = "/stint/v1/tokens"
	applicationsPath = "/stint/v1/applications"
)

// client is the JSON of a client.
type client struct {
	ID, Type, Name, User, Secret string
	Levels, Scopes, Sources      []string
	Created, Modified            string
	Expires, Revoked, LastUsed   *string
}

func readClient(t *testing.T, answer apptest.Answer, status int) client {
	t.Helper()
	wantStatus(t, answer, status)
	var c client
	if err := json.Unmarshal(answer.Body, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func remove(t *testing.T, server *apptest.Server, target string, pairs ...string) apptest.Answer {
	t.Helper()
	return server.Send(t, apptest.Request{Method: "DELETE", Target: target, Header: header(pairs...)})
}

func TestClientLife(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	for path, body := range map[string]string{
		tokensPath: `{"user":"Zoë","levels":["helpdesk","SOURCE_SUBADMIN"],"scopes":["idn:task-management:read","idn:sources:read"],
			"sources":["` + unknownID + `"],"name":"for scripts","expires":"2099-12-31T23:59:59+01:00"}`,
		applicationsPath: `{"name":"a program"}`,
	} {
		answer := post(t, server, path, body, "Stint-Reason", "because")
		made := readClient(t, answer, 201)
		if location := answer.Header.Get("Location"); location != path+"/"+made.ID {
			t.Errorf("Location is %q", location)
		}
		want := client{
			ID: made.ID, Type: "APPLICATION", Name: "a program", Scopes: []string{"sp:scopes:all"}, Created: made.Created, Modified: made.Created,
		}
		if path == tokensPath {
			end := "2099-12-31T22:59:59.000Z"
			want = client{
				ID: made.ID, Type: "PERSONAL_ACCESS_TOKEN", Name: "for scripts", User: "Zoë", Levels: []string{"HELPDESK", "SOURCE_SUBADMIN"},
				Scopes: []string{"idn:task-management:read", "idn:sources:read"}, Sources: []string{unknownID}, Expires: &end,
				Created: made.Created, Modified: made.Created,
			}
		}
		secret := made.Secret
		made.Secret = ""
		if diff := cmp.Diff(want, made); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		got := get(t, server, path+"/"+strings.ToUpper(made.ID))
		if diff := cmp.Diff(want, readClient(t, got, 200)); diff != "" {
			t.Errorf("%s, read (-want +got):\n%s", path, diff)
		}
		wantStatus(t, get(t, server, path+"/"+made.ID, "If-None-Match", got.Header.Get("ETag")), 304)
		token := server.Token(t, apptest.Client{ID: made.ID, Secret: secret})
		wantStatus(t, get(t, server, "/task-status/v1", "Authorization", "Bearer "+token), 200)
		if used := readClient(t, get(t, server, path+"/"+made.ID), 200); used.LastUsed == nil {
			t.Error("it was never used")
		}

		rotated := readClient(t, post(t, server, path+"/"+made.ID+"/rotate", `{"reason":"lost"}`), 200)
		if rotated.Secret == secret || rotated.Revoked != nil {
			t.Errorf("rotated: %+v", rotated)
		}
		wantStatus(t, signIn(t, server, "grant_type=client_credentials&client_id="+made.ID+"&client_secret="+secret, ""), 401)
		token = server.Token(t, apptest.Client{ID: made.ID, Secret: rotated.Secret})

		revoked := remove(t, server, path+"/"+made.ID, "Stint-Reason", "left")
		first := readClient(t, revoked, 200)
		if first.Revoked == nil {
			t.Errorf("revoked: %s", revoked.Body)
		}
		wantStatus(t, get(t, server, "/task-status/v1", "Authorization", "Bearer "+token), 401)
		wantStatus(t, signIn(t, server, "grant_type=client_credentials&client_id="+made.ID+"&client_secret="+rotated.Secret, ""), 401)
		if again := remove(t, server, path+"/"+made.ID); string(again.Body) != string(revoked.Body) {
			t.Errorf("revoked again: %s", again.Body)
		}
		wantError(t, post(t, server, path+"/"+made.ID+"/rotate", ""), 409, "", "was revoked at "+*first.Revoked)
		wantStatus(t, get(t, server, path+"/"+made.ID), 200)

		var told []string
		for _, e := range audited(t, server, made.ID) {
			if e.Action == audit.TokenRefuse {
				continue // the refusals of a while are told together, sooner or later
			}
			told = append(told, string(e.Action)+" "+e.Reason+" "+e.Origin.Actor)
			if admin := server.Admin(t).ID; e.Action != audit.TokenIssue && e.Origin.Client != admin {
				t.Errorf("%s by the client %q, want %q", e.Action, e.Origin.Client, admin)
			}
		}
		name := want.User
		if name == "" {
			name = want.Name
		}
		wantTold := []string{
			"client.create because admin", "token.issue  " + name, "client.rotate lost admin", "token.issue  " + name, "client.revoke left admin",
		}
		if diff := cmp.Diff(wantTold, told); diff != "" {
			t.Errorf("%s: audit (-want +got):\n%s", path, diff)
		}
	}
}

func TestClientsAreOfOneSort(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	user := server.Client(t, principal.Client{Levels: []principal.Level{principal.Helpdesk}}).ID
	app := server.Client(t, principal.Client{Sort: principal.Application}).ID
	for _, target := range []string{
		tokensPath + "/" + app, applicationsPath + "/" + user, tokensPath + "/" + unknownID, tokensPath + "/no-id", applicationsPath + "/" + strings.Repeat("x", 3000),
	} {
		wantError(t, get(t, server, target), 404, "", "no ", " has the id")
		wantError(t, remove(t, server, target), 404, "")
		wantError(t, post(t, server, target+"/rotate", ""), 404, "")
	}
	for _, id := range []string{user, app} {
		for _, e := range audited(t, server, id) {
			if e.Action != audit.ClientCreate {
				t.Errorf("%s of %s", e.Action, id)
			}
		}
	}
}

func TestClientsThatAreRefused(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	d := openDatabase(t, server)
	const all = "SELECT (SELECT count(*) FROM clients) + (SELECT count(*) FROM audit)"
	before := d.count(all)
	user := func(members string) string { return `{"user":"u","levels":["ORG_ADMIN"]` + members + `}` }
	limited := func(members string) string { return `{"user":"u","levels":["SOURCE_SUBADMIN"]` + members + `}` }
	for name, test := range map[string]struct {
		path, body string
		status     int
		code, says string
	}{
		"no body":                {tokensPath, "", 400, missing, "body"},
		"no JSON":                {tokensPath, "{", 400, syntax, ""},
		"no object":              {tokensPath, "[]", 400, "", ""},
		"a null":                 {tokensPath, "null", 400, "", ""},
		"unknown member":         {tokensPath, user(`,"secret":"mine"`), 400, "", "secret"},
		"an id of one's own":     {tokensPath, user(`,"id":"` + unknownID + `"`), 400, "", "id"},
		"a type":                 {tokensPath, user(`,"type":"APPLICATION"`), 400, "", "type"},
		"a member twice":         {tokensPath, user(`,"user":"v"`), 400, "", "user"},
		"no user":                {tokensPath, `{"levels":["ORG_ADMIN"],"name":"n"}`, 400, missing, "user"},
		"a blank user":           {tokensPath, `{"user":"  ","levels":["ORG_ADMIN"]}`, 400, missing, ""},
		"a number for a user":    {tokensPath, `{"user":5,"levels":["ORG_ADMIN"]}`, 400, "", "user"},
		"no levels":              {tokensPath, `{"user":"u"}`, 400, missing, "ORG_ADMIN, HELPDESK"},
		"empty levels":           {tokensPath, `{"user":"u","levels":[]}`, 400, missing, "levels"},
		"unknown level":          {tokensPath, `{"user":"u","levels":["ADMIN"]}`, 400, illegalValue, `"ADMIN" is not a user level`},
		"a text for levels":      {tokensPath, `{"user":"u","levels":"ORG_ADMIN"}`, 400, "", "levels"},
		"empty scopes":           {tokensPath, user(`,"scopes":[]`), 400, missing, "scopes"},
		"unknown scope":          {tokensPath, user(`,"scopes":["all"]`), 400, illegalValue, `"all" is not a scope`},
		"a scope in upper case":  {tokensPath, user(`,"scopes":["SP:SCOPES:ALL"]`), 400, illegalValue, "is not a scope"},
		"a long name":            {tokensPath, user(`,"name":"` + strings.Repeat("é", 129) + `"`), 400, illegalValue, "129 characters"},
		"a name with NUL":        {tokensPath, user(`,"name":"a\u0000b"`), 400, "", "U+0000"},
		"a name with a line end": {tokensPath, user(`,"name":"a\nb"`), 400, illegalValue, "cannot be seen"},
		"a name that is no text": {tokensPath, user(`,"name":"` + "\xff" + `"`), 400, "", ""},
		"sources of an admin":    {tokensPath, user(`,"sources":["` + unknownID + `"]`), 400, illegalValue, "limits nobody"},
		"an empty source":        {tokensPath, limited(`,"sources":[""]`), 400, missing, "sources"},
		"too many sources":       {tokensPath, limited(`,"sources":[` + strings.TrimSuffix(strings.Repeat(`"x",`, 1001), ",") + `]`), 400, illegalValue, "1001"},
		"expired":                {tokensPath, user(`,"expires":"2020-01-01T00:00:00Z"`), 400, illegalValue, "has passed"},
		"expired, at the zero":   {tokensPath, user(`,"expires":"0001-01-01T00:00:00Z"`), 400, illegalValue, "has passed"},
		"no time":                {tokensPath, user(`,"expires":"tomorrow"`), 400, illegalValue, `"tomorrow" is not a time`},
		"an empty time":          {tokensPath, user(`,"expires":""`), 400, illegalValue, "expires"},
		"no such day":            {tokensPath, user(`,"expires":"2099-02-30T00:00:00Z"`), 400, illegalValue, "expires"},
		"a number for a time":    {tokensPath, user(`,"expires":4102444800`), 400, "", "expires"},
		"too large":              {tokensPath, user(`,"name":"` + strings.Repeat("x", 1<<20) + `"`), 413, "", ""},
		"application, no name":   {applicationsPath, `{}`, 400, missing, "name"},
		"application for a user": {applicationsPath, `{"name":"n","user":"u"}`, 400, illegalValue, "has no user"},
		"application of a level": {applicationsPath, `{"name":"n","levels":["ORG_ADMIN"]}`, 400, illegalValue, "has no user"},
		"application of a source": {
			applicationsPath, `{"name":"n","sources":["x"]}`, 400, illegalValue, "limits nobody",
		},
	} {
		answer := post(t, server, test.path, test.body)
		if answer.Status != test.status {
			t.Errorf("%s: %d %s, want %d", name, answer.Status, answer.Body, test.status)
			continue
		}
		wantError(t, answer, test.status, test.code, test.says)
	}
	wantError(t, post(t, server, tokensPath, user(""), "Content-Type", "text/plain"), 415, "")
	wantError(t, post(t, server, tokensPath, user(""), "Stint-Reason", strings.Repeat("x", 1025)), 400, illegalValue, "Stint-Reason")
	target := applicationsPath + "/" + server.Client(t, principal.Client{Sort: principal.Application}).ID
	before += 2
	for name, body := range map[string]string{
		"no JSON": "{", "no object": "[]", "unknown member": `{"secret":"mine"}`, "a long reason": `{"reason":"` + strings.Repeat("x", 1025) + `"}`,
	} {
		if answer := post(t, server, target+"/rotate", body); answer.Status != 400 {
			t.Errorf("rotate, %s: %d %s", name, answer.Status, answer.Body)
		}
	}
	wantError(t, remove(t, server, target, "Stint-Reason", strings.Repeat("x", 1025)), 400, illegalValue)
	if after := d.count(all); after != before {
		t.Errorf("%d rows after %d: something was stored", after, before)
	}
}

// Nobody makes, or gets the secret of, a client that may do more.
func TestClientsGiveNoMoreThanOneHas(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	admin := server.Admin(t)
	scopes := []principal.Scope{principal.TokensManage, principal.ApplicationsManage, principal.TasksRead}
	// Narrow by what was asked for, and by what the client has.
	for _, token := range map[string]string{
		"asked for": server.Token(t, admin, scopes...),
		"all it has": server.TokenOf(t, principal.Client{
			Levels: []principal.Level{principal.OrgAdmin}, Scopes: scopes,
		}),
	} {
		by := []string{"Authorization", "Bearer " + token}
		create := func(path, scopes string) apptest.Answer {
			body := `{"name":"n"` + scopes + `}`
			if path == tokensPath {
				body = `{"user":"u","levels":["ORG_ADMIN"]` + scopes + `}`
			}
			return post(t, server, path, body, by...)
		}
		for _, path := range []string{tokensPath, applicationsPath} {
			for _, more := range []string{
				``, `,"scopes":null`, `,"scopes":["sp:scopes:all"]`, `,"scopes":["idn:task-management:read","idn:task-management:write"]`, `,"scopes":["stint:audit:read"]`,
			} {
				wantError(t, create(path, more), 403, "403.0 Forbidden", "is more than the maker's own token has", "idn:task-management:read")
			}
			mine := readClient(t, create(path, `,"scopes":["idn:task-management:read","sp:oauth-client:manage"]`), 201)
			wantStatus(t, post(t, server, path+"/"+mine.ID+"/rotate", "", by...), 200)
			wide := server.Client(t, principal.Client{Levels: []principal.Level{principal.OrgAdmin}, Scopes: []principal.Scope{principal.TasksWrite}})
			if path == applicationsPath {
				wide = server.Client(t, principal.Client{Sort: principal.Application})
			}
			wantError(t, post(t, server, path+"/"+wide.ID+"/rotate", "", by...), 403, "", "is more than")
			server.Token(t, wide) // its secret is still good
			wantStatus(t, remove(t, server, path+"/"+wide.ID, by...), 200)
		}
		wantError(t, post(t, server, tokensPath+"/"+admin.ID+"/rotate", "", by...), 403, "", "is more than")
	}
	// Nor one that lives longer.
	soon := time.Now().Add(time.Hour)
	brief := []string{"Authorization", "Bearer " + server.TokenOf(t, principal.Client{
		Levels: []principal.Level{principal.OrgAdmin}, Scopes: []principal.Scope{principal.AllScopes}, Expires: soon,
	})}
	for expires, status := range map[string]int{
		"null": 403, `"` + soon.Add(time.Minute).Format(time.RFC3339) + `"`: 403, `"` + soon.Add(-time.Minute).Format(time.RFC3339) + `"`: 201,
	} {
		wantStatus(t, post(t, server, tokensPath, `{"user":"u","levels":["HELPDESK"],"expires":`+expires+`}`, brief...), status)
	}
	wantError(t, post(t, server, tokensPath+"/"+admin.ID+"/rotate", "", brief...), 403, "", "expires")
	// Only an administrator of the organisation manages clients; an application does not.
	for _, level := range principal.Levels()[1:] {
		token := server.TokenOf(t, principal.Client{Levels: []principal.Level{level}})
		for _, path := range []string{tokensPath, applicationsPath} {
			wantError(t, get(t, server, path, "Authorization", "Bearer "+token), 403, "", "ORG_ADMIN", string(level))
		}
	}
	app := server.TokenOf(t, principal.Client{Sort: principal.Application})
	wantError(t, post(t, server, applicationsPath, `{"name":"mine"}`, "Authorization", "Bearer "+app), 403, "", "application")
}

func TestClientLists(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	names := []string{"b", "A", "é", "c"}
	idOf := map[string]string{}
	for i, name := range names {
		idOf[name] = server.Client(t, principal.Client{Name: name, User: "user" + strconv.Itoa(i%2), Levels: []principal.Level{principal.Helpdesk}}).ID
		idOf["app "+name] = server.Client(t, principal.Client{Sort: principal.Application, Name: "app " + name}).ID
	}
	wantStatus(t, remove(t, server, tokensPath+"/"+idOf["c"]), 200)
	list := func(target string) []string {
		answer := get(t, server, target)
		wantStatus(t, answer, 200)
		var found []client
		if err := json.Unmarshal([]byte(answer.Text(t)), &found); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range found {
			got = append(got, c.Name)
		}
		return got
	}
	for query, want := range map[string][]string{
		"":                                          {"A", "b", "c", "first start", "é"},
		"?sorters=-name":                            {"é", "first start", "c", "b", "A"},
		"?sorters=-created&limit=2":                 {"c", "é"},
		"?limit=2&offset=1":                         {"b", "c"},
		`?filters=user+eq+"USER1"`:                  {"A", "c"},
		`?filters=name+in+("a","É")`:                {"A"},
		`?filters=not+(name+eq+"a")`:                {"b", "c", "first start", "é"},
		`?filters=id+eq+"` + unknownID:              nil,
		"?limit=0":                                  nil,
		`?filters=user+eq+"nobody"`:                 nil,
		"?sorters=created&limit=1&x=y":              {"first start"},
		`?filters=id+in+("%s","` + unknownID + `")`: {"é"},
	} {
		if strings.HasSuffix(query, unknownID) {
			query += `"`
		}
		if got := list(tokensPath + strings.Replace(query, "%s", idOf["é"], 1)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if got := list(applicationsPath); !slices.Equal(got, []string{"app A", "app b", "app c", "app é"}) {
		t.Errorf("applications: %q", got)
	}
	if n := get(t, server, tokensPath+"?count=true&limit=0").Header.Get("X-Total-Count"); n != "5" {
		t.Errorf("%s tokens are counted", n)
	}
	for target, says := range map[string]string{
		tokensPath + `?filters=secret+eq+"x"`:     "secret",
		tokensPath + `?filters=digest+eq+"x"`:     "digest",
		tokensPath + `?filters=levels+eq+"x"`:     "levels",
		tokensPath + `?filters=name+sw+"x"`:       "sw",
		applicationsPath + `?filters=user+eq+"x"`: "user",
		tokensPath + `?sorters=lastUsed`:          "lastUsed",
		tokensPath + `?limit=251`:                 "limit",
	} {
		wantError(t, get(t, server, target), 400, "", says)
	}
}

// A secret is in the answer that makes it, and in no other place: neither answer,
// nor log, nor file.
func TestSecretsAreShownOnce(t *testing.T) {
	t.Parallel()
	var log apptest.Buffer
	server := apptest.Start(t, apptest.Options{Tokens: true, Log: slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})})
	secrets := map[string]string{"the first": server.Admin(t).Secret, "the first access token": server.AdminToken(t)}
	add := func(name string, c apptest.Client) {
		secrets[name] = c.Secret
		token := server.Token(t, c)
		secrets["an access token of "+name] = token
		wantStatus(t, get(t, server, "/task-status/v1", "Authorization", "Bearer "+token), 200)
		// People confuse the two, put them into the wrong place, and try again.
		for _, query := range []string{
			"client_id=" + c.Secret + "&client_secret=" + c.ID, "client_id=" + c.ID + "&client_secret=" + c.Secret + "x",
			"client_id=" + c.ID + "&client_secret=x&client_secret=" + c.Secret, "client_id=" + c.ID + "&client_secret=" + c.Secret + "&scope=openid",
		} {
			signIn(t, server, "grant_type=client_credentials&"+query, "")
		}
		get(t, server, "/task-status/v1", "Authorization", "Bearer "+c.Secret)
		get(t, server, "/task-status/v1?access_token="+token)
		get(t, server, "/task-status/v1", "Authorization", basic(c.ID, c.Secret))
	}
	user := server.Client(t, principal.Client{Levels: []principal.Level{principal.OrgAdmin}})
	app := server.Client(t, principal.Client{Sort: principal.Application})
	add("a user", user)
	add("an application", app)
	for path, id := range map[string]string{tokensPath: user.ID, applicationsPath: app.ID} {
		rotated := readClient(t, post(t, server, path+"/"+id+"/rotate", ""), 200)
		add("rotated "+path, apptest.Client{ID: id, Secret: rotated.Secret})
	}
	id, reportToken := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	secrets["a report token"] = reportToken
	wantStatus(t, report(t, server, id, reportToken, `{"attempt":1}`), 200)

	places := map[string][]byte{}
	for _, target := range []string{
		tokensPath, tokensPath + "/" + user.ID, applicationsPath, applicationsPath + "/" + app.ID, "/oauth/jwks", "/oauth/info", stintTask(id),
		"/stint/v1/audit", "/stint/v1/tasks",
	} {
		places["GET "+target] = []byte(get(t, server, target).Text(t))
	}
	places["DELETE"] = remove(t, server, applicationsPath+"/"+app.ID).Body
	for _, suffix := range []string{"", "-wal"} {
		places["the file"+suffix] = fileOf(t, server.DB+suffix)
	}
	if err := server.App.Stop(); err != nil {
		t.Fatal(err)
	}
	places["the file, closed"], places["the log"] = fileOf(t, server.DB), []byte(log.String())
	if len(places["the log"]) < 1000 || len(places["the file-wal"]) < 1000 {
		t.Fatalf("the log has %d bytes, the write-ahead log %d", len(places["the log"]), len(places["the file-wal"]))
	}
	for name, secret := range secrets {
		for place, text := range places {
			// A part of it is too much; of a token, one that says nothing of others.
			parts := []string{secret[len(secret)-32:]}
			if !strings.HasPrefix(secret, "eyJ") {
				parts = append(parts, secret[:32])
			}
			for _, part := range parts {
				if bytes.Contains(text, []byte(part)) {
					t.Errorf("%s is in %s", name, place)
				}
			}
		}
	}
}

func fileOf(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestIdempotencyKeysAreTheClientsOwn(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	source, _ := createSource(t, server, leastSource)
	user := principal.Client{User: "same", Levels: []principal.Level{principal.OrgAdmin}}
	first, second := actor{"", server.TokenOf(t, user)}, actor{"", server.TokenOf(t, user)}
	for name, send := range map[string]func(by actor) apptest.Answer{
		"a task": func(by actor) apptest.Answer {
			return post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, append(by.header(), "Idempotency-Key", "k")...)
		},
		"an aggregation": func(by actor) apptest.Answer {
			return sendForm(t, server, loadAccounts(source), form(filePart("id\n1\n")), append(by.header(), "Idempotency-Key", "other")...)
		},
	} {
		one, again, two := send(first), send(first), send(second)
		wantStatus(t, one, 202)
		location := func(a apptest.Answer) string { return a.Header.Get("Location") }
		if location(again) != location(one) || again.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s, repeated: %d at %s", name, again.Status, location(again))
		}
		if two.Status != 202 || location(two) == location(one) || two.Header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s, by another client: %d at %s, the first's is at %s", name, two.Status, location(two), location(one))
		}
	}
}

// What is done bears the name of who did it.
func TestActorsAreNamed(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	source, _ := createSource(t, server, leastSource)
	user := server.Client(t, principal.Client{User: "Zoë", Name: "her script", Levels: []principal.Level{principal.OrgAdmin}})
	app := server.Client(t, principal.Client{Sort: principal.Application, Name: "a program"})
	by, program := actor{"Zoë", server.Token(t, user)}, actor{"a program", server.Token(t, app)}
	wantBy := func(object string, action audit.Action, c apptest.Client, actor string) {
		t.Helper()
		for _, e := range audited(t, server, object) {
			if e.Action == action {
				if e.Origin.Actor != actor || e.Origin.Client != c.ID || e.Origin.Address == "" {
					t.Errorf("%s of %s is by %+v, want %s", action, object, e.Origin, actor)
				}
				return
			}
		}
		t.Errorf("no %s of %s", action, object)
	}
	launchedBy := func(answer apptest.Answer, c apptest.Client, by actor) string {
		t.Helper()
		id := launchedID(t, server, answer)
		wantSubset(t, get(t, server, "/task-status/v1/"+id), 200, `{"launcher":"`+by.name+`"}`)
		wantBy(id, audit.Launch, c, by.name)
		return id
	}
	launchedBy(post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, program.header()...), app, program)
	id := launchedBy(post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, by.header()...), user, by)
	launchedBy(sendForm(t, server, loadAccounts(source), form(filePart("id\n1\n")), by.header()...), user, by)
	given := post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH","launcher":"sweep"}`, by.header()...)
	wantSubset(t, given, 202, `{"launcher":"sweep"}`)
	wantBy(fmt.Sprint(member(decoded(t, given), "id")), audit.Launch, user, "Zoë")

	wantStatus(t, patch(t, server, id, clearAs("ERROR"), by.header()...), 200)
	wantBy(id, audit.Clear, user, "Zoë")
	other, _ := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	wantStatus(t, post(t, server, stintTask(other, "cancel"), "", by.header()...), 202)
	wantBy(other, audit.Cancel, user, "Zoë")
	wantStatus(t, patchSource(t, server, source, mergePatch, `{"description":"d"}`, by.header()...), 200)
	wantBy(source, audit.SourceUpdate, user, "Zoë")
	wantStatus(t, deleteSource(t, server, source, by.header()...), 200)
	wantBy(source, audit.SourceDelete, user, "Zoë")
	made := readClient(t, post(t, server, applicationsPath, `{"name":"x"}`, by.header()...), 201)
	wantBy(made.ID, audit.ClientCreate, user, "Zoë")
}

// A client expires by itself, and its access token with it.
func TestClientsExpire(t *testing.T) {
	t.Parallel()
	clock := &movable{}
	server := apptest.Start(t, apptest.Options{Tokens: true, Now: clock.now})
	c := server.Client(t, principal.Client{Sort: principal.Application, Expires: clock.now().Add(5 * time.Minute)})
	token := server.Token(t, c)
	wantStatus(t, get(t, server, "/task-status/v1", "Authorization", "Bearer "+token), 200)
	clock.move(5 * time.Minute)
	wantStatus(t, get(t, server, "/task-status/v1", "Authorization", "Bearer "+token), 401)
	answer := signIn(t, server, "grant_type=client_credentials&client_id="+c.ID+"&client_secret="+c.Secret, "")
	wantSubset(t, answer, 401, `{"error":"invalid_client","error_description":"the client was refused: it was revoked or has expired"}`)
}

// Who is revoked while a body arrives does nothing any more with it.
func TestRevokedWhileTheBodyArrives(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	source, _ := createSource(t, server, `{"name":"HR","type":"DelimitedFile","connectorAttributes":{"accountId":"id"}}`)
	launched := post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`)
	var body struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(launched.Body, &body); err != nil {
		t.Fatal(err)
	}
	for name, request := range map[string]struct{ method, target, contentType, body string }{
		"a clear": {"PATCH", "/task-status/v1/" + body.ID, "application/json-patch+json", `[{"op":"replace","path":"/completionStatus","value":"ERROR"}]`},
		"a token": {"POST", tokensPath, "application/json", `{"user":"mallory","levels":["ORG_ADMIN"]}`},
		"a file": {
			"POST", "/sources/v1/" + source + "/load-accounts", "multipart/form-data; boundary=b",
			"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nid\n1\n\r\n--b--\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := server.Client(t, principal.Client{Levels: []principal.Level{principal.OrgAdmin}, Scopes: []principal.Scope{principal.AllScopes}})
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			half := len(request.body) / 2
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: stint\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
				request.method, request.target, server.Token(t, c), request.contentType, len(request.body))
			// The server asks for the body once the caller was let in.
			in := bufio.NewReader(conn)
			if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
				t.Fatalf("got %q, %v; want 100 Continue", line, err)
			}
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, request.body[:half])
			wantStatus(t, remove(t, server, tokensPath+"/"+c.ID), 200)
			_, _ = io.WriteString(conn, request.body[half:])
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusUnauthorized {
				t.Errorf("got %d, want 401", answer.StatusCode)
			}
		})
	}
	for target, want := range map[string]string{
		"/task-status/v1?count=true&filters=completionStatus+isnull": "1", "/stint/v1/tasks?count=true": "1",
		tokensPath + `?count=true&filters=user+eq+"mallory"`: "0",
	} {
		if got := get(t, server, target).Header.Get("X-Total-Count"); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
