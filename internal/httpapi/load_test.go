package httpapi_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stint/internal/apptest"
	"stint/internal/config"
	"stint/internal/connector/delimited/delimitedtest"
)

const (
	accountsDone = `{"type":"QUARTZ","uniqueName":"Cloud Account Aggregation","launcher":"System","completionStatus":"SUCCESS","percentComplete":100,
"taskDefinitionSummary":{"executor":"builtin"}}`
	entitlementsDone = `{"type":"QUARTZ","uniqueName":"Cloud Group Aggregation","completionStatus":"SUCCESS"}`
)

// Every spelling launches, and answers in the shape that was recorded.
func TestLoadUnderAllSpellings(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	hr, _ := createSource(t, server, hrSource)
	for _, path := range loadPaths(strings.ToUpper(hr), "load-accounts") {
		answer := sendForm(t, server, path, form(filePart(people)))
		id := launchedID(t, server, answer)
		task := member(decoded(t, answer), "task")
		wantMembersOf(t, "load-accounts-response.real.json", task, "task")
		if got := member(member(task, "attributes"), "appId"); got != hr {
			t.Errorf("appId is %v, want %s", got, hr)
		}
		endsWith(t, server, id, accountsDone)
		for _, version := range []string{"/account-aggregations/v1/", "/beta/account-aggregations/", "/v2024/account-aggregations/", "/v2025/account-aggregations/", "/v2026/account-aggregations/"} {
			wantSubset(t, get(t, server, version+id+"/status"), 200, `{"status":"COMPLETED","deletedAccounts":0}`)
			wantStatus(t, head(t, server, version+id+"/status"), 200)
		}
	}
	for i, path := range loadPaths(hr, "load-entitlements") {
		body := form(filePart("id,displayName\na,A\nb,B\n"))
		if i%2 == 1 {
			body = form()
		}
		answer := sendForm(t, server, path, body)
		id := launchedID(t, server, answer)
		wantMembersOf(t, "load-entitlements-response.real.json", decoded(t, answer))
		endsWith(t, server, id, entitlementsDone)
		wantError(t, get(t, server, "/account-aggregations/v1/"+id+"/status"), 404, "", "entitlements")
	}
	wantSubset(t, get(t, server, sourcesPath+"/"+hr), 200, `{"accountCount":2,"entitlementCount":2}`)
	openDatabase(t, server).becomesEmpty()
}

// wantMembersOf compares the names of the members with a recorded body's, those
// of messages and returns included.
func wantMembersOf(t *testing.T, sample string, got any, inside ...string) {
	t.Helper()
	text := readFile(t, "testdata/samples/"+sample)
	var want any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range inside {
		want = member(want, name)
	}
	names := func(v any) []string {
		object, _ := v.(map[string]any)
		return slices.Sorted(maps.Keys(object))
	}
	if g, w := names(got), names(want); !slices.Equal(g, w) {
		t.Errorf("members %v, want those of %s: %v", g, sample, w)
	}
	known := map[any]any{}
	returns, _ := member(want, "returns").([]any)
	for _, r := range returns {
		known[member(r, "attributeName")] = member(r, "displayLabel")
	}
	ours, _ := member(got, "returns").([]any)
	if len(ours) == 0 {
		t.Errorf("no returns")
	}
	for _, r := range ours {
		if label := known[member(r, "attributeName")]; label != member(r, "displayLabel") {
			t.Errorf("return %v, recorded is the label %v", r, label)
		}
	}
}

// What clients make of a form, all of which has one meaning.
func TestLoadTakesWhatClientsSend(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	hr, _ := createSource(t, server, hrSource)
	crlf := strings.ReplaceAll(people, "\n", "\r\n")
	disposition := func(rest string) string { return `Content-Disposition: form-data; name="file"` + rest }
	whole := form(filePart(people))
	for name, body := range map[string]string{
		"a file":                       whole,
		"CRLF in the file":             form(filePart(crlf)),
		"a byte order mark":            form(filePart("\ufeff" + people)),
		"no line break at the end":     form(filePart(strings.TrimSuffix(people, "\n"))),
		"a blob":                       form(part{disposition(`; filename="blob"`) + "\r\nContent-Type: application/octet-stream", people}),
		"a plain field":                form(part{disposition(""), crlf}),
		"no file name, another type":   form(part{disposition("") + "\r\nContent-Type: application/octet-stream", people}),
		"an empty file name":           form(part{disposition(`; filename=""`), people}),
		"a part type that is none":     form(part{disposition(`; filename="x"`) + "\r\nContent-Type: ///;;=", people}),
		"headers in another case":      form(part{`content-disposition: FORM-DATA; NAME="file"; FILENAME="x.csv"`, people}),
		"a name without quotes":        form(part{`Content-Disposition: form-data; name=file; filename=x.csv`, people}),
		"a path as the file name":      form(part{disposition(`; filename="../../etc/passwd"`), people}),
		"an absolute path":             form(part{disposition(`; filename="C:\\etc\\passwd"`), people}),
		"a file name in an extension":  form(part{disposition(`; filename*=UTF-8''%2e%2e%2fpasswd`), people}),
		"optimization before the file": form(field("disableOptimization", "false"), filePart(people)),
		"optimization behind it":       form(filePart(people), field("disableOptimization", " TRUE ")),
		"an empty flag":                form(filePart(people), field("disableOptimization", ""), field("allowDeletions", "")),
		"deletions":                    form(filePart(people), field("allowDeletions", "10")),
		"fields that mean nothing":     form(field("x", "1"), filePart(people), field("x", "2"), field("", "")),
		"no line break behind it":      strings.TrimSuffix(whole, "\r\n"),
		"a preamble and an epilogue":   "preamble\r\n" + whole + "epilogue",
		"lines that end with LF":       strings.ReplaceAll(whole, "\r\n", "\n"),
		"those, but for the last":      strings.TrimSuffix(strings.ReplaceAll(whole, "\r\n", "\n"), "\n"),
	} {
		id := launchedID(t, server, sendForm(t, server, loadAccounts(hr), body))
		ended(t, server, id)
		text := get(t, server, stintTask(id)).Text(t)
		if !strings.Contains(text, `"SUCCESS"`) || strings.Contains(text, "passwd") {
			t.Errorf("%s: %s", name, text)
		}
		if disabled := strings.Contains(text, `"disabled"`); disabled != strings.Contains(body, "TRUE") {
			t.Errorf("%s: optimization is disabled: %v", name, disabled)
		}
		wantSubset(t, get(t, server, sourcesPath+"/"+hr), 200, `{"accountCount":2}`)
	}
	// Nothing to send, said in the ways of several clients.
	for _, contentType := range []string{formType, "multipart/form-data", "application/x-www-form-urlencoded", "application/json"} {
		id := launchedID(t, server, sendForm(t, server, loadEntitlements(hr), "", "Content-Type", contentType))
		endsWith(t, server, id, entitlementsDone)
	}
	id := launchedID(t, server, server.Send(t, apptest.Request{Method: "POST", Target: loadEntitlements(hr)}))
	endsWith(t, server, id, entitlementsDone)
	openDatabase(t, server).becomesEmpty()
}

type refusal struct {
	body   string
	status int
	code   string
	says   []string
}

func refusals() map[string]refusal {
	object := func(p part) string { return form(part{p.headers, "[object Object]"}) }
	large := "id,name,department,groups\n" + strings.Repeat("u,A,\"d\r\nd\",g\n", 100_000)
	return map[string]refusal{
		"no file":              {form(), 400, illegalValue, []string{"file", "delimited file"}},
		"no body":              {"", 400, illegalValue, []string{"file", "delimited file"}},
		"only fields":          {form(field("disableOptimization", "true")), 400, illegalValue, []string{"file"}},
		"an empty file":        {form(filePart("")), 400, illegalValue, []string{"file", "empty"}},
		"a file of line ends":  {form(filePart("\r\n\n")), 400, illegalValue, []string{"file", "header"}},
		"an object as text":    {object(field("file", "")), 400, illegalValue, []string{"[object Object]", "client"}},
		"an object as file":    {object(filePart("")), 400, illegalValue, []string{"[object Object]"}},
		"no account id":        {form(filePart("name,department,groups\nA,B,c\n")), 400, illegalValue, []string{`"id"`, `"name", "department", "groups"`}},
		"the wrong delimiter":  {form(filePart("id;name;department;groups\n1;A;B;c\n")), 400, illegalValue, []string{`"id"`, `"id;name;department;groups"`, "delimiter"}},
		"a header twice":       {form(filePart("id,name,department,groups,name\n")), 400, illegalValue, []string{"more than once", `"name"`}},
		"another header":       {form(filePart("id,name,department,groups,salary\n")), 400, illegalValue, []string{`"salary"`, `The file has "id", "name", "department", "groups", "salary"`, `has "id", "name", "department", "groups"`}},
		"a header less":        {form(filePart("id,name,groups\n")), 400, illegalValue, []string{`missing: "department"`}},
		"not UTF-8":            {form(filePart(people + "u3,\xfc,d,g\n")), 400, illegalValue, []string{"UTF-8", "line 4"}},
		"not UTF-8, far in":    {form(filePart(large + "\xff")), 400, illegalValue, []string{"UTF-8", "line 200002"}},
		"UTF-16":               {form(filePart("i\x00d\x00")), 400, illegalValue, []string{"UTF-16"}},
		"over the limit":       {form(filePart(large + large)), 413, "413.0 Content Too Large", []string{"file", "2097152", "--max-upload"}},
		"two files":            {form(filePart(people), filePart(people)), 400, content, []string{"file", "more than once"}},
		"a flag twice":         {form(field("disableOptimization", "true"), field("disableOptimization", "true"), filePart(people)), 400, content, []string{"disableOptimization"}},
		"a flag of yes":        {form(filePart(people), field("disableOptimization", "yes")), 400, illegalValue, []string{"disableOptimization", `"yes"`, "true or false"}},
		"deletions below 0":    {form(filePart(people), field("allowDeletions", "-1")), 400, illegalValue, []string{"allowDeletions", `"-1"`, "0 or more"}},
		"half a deletion":      {form(filePart(people), field("allowDeletions", "1.5")), 400, illegalValue, []string{"allowDeletions"}},
		"deletions of 65 bits": {form(filePart(people), field("allowDeletions", "18446744073709551616")), 400, illegalValue, []string{"allowDeletions"}},
		"a large field":        {form(filePart(people), field("x", strings.Repeat("x", 1<<20+1))), 413, "", []string{"x", "1048576"}},
		"large fields":         {form(filePart(people), field("a", strings.Repeat("x", 1<<20)), field("b", strings.Repeat("x", 1<<20)), field("c", strings.Repeat("x", 1<<20)), field("d", strings.Repeat("x", 1<<20)), field("e", strings.Repeat("x", 1<<20)), field("f", strings.Repeat("x", 1<<20)), field("g", "")), 413, "", []string{"body"}},
		"another boundary":     {strings.ReplaceAll(form(filePart(people)), "XxX", "Yy"), 400, syntax, []string{"form"}},
		"no form at all":       {people, 400, syntax, []string{"form"}},
		"no file part's name":  {form(part{"Content-Disposition: form-data", people}), 400, illegalValue, []string{"file"}},
		"an attachment":        {form(part{`Content-Disposition: attachment; filename="file"`, people}), 400, illegalValue, []string{"file"}},
		"a broken header":      {form(part{"Content-Disposition", people}), 400, syntax, nil},
	}
}

// What is refused leaves nothing behind: no task, no upload.
func TestLoadRefusals(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Configure: func(c *config.Config) { c.MaxUpload = 2 << 20 }})
	hr, _ := createSource(t, server, hrSource)
	db := openDatabase(t, server)
	for name, test := range refusals() {
		t.Run(name, func(t *testing.T) {
			wantError(t, sendForm(t, server, loadAccounts(hr), test.body), test.status, test.code, test.says...)
			db.holds(0)
		})
	}
	file := form(filePart(people))
	for contentType, want := range map[string]refusal{
		"multipart/form-data":                      {status: 400, code: syntax, says: []string{"boundary"}},
		`multipart/form-data; boundary=""`:         {status: 400, code: syntax, says: []string{"boundary"}},
		"multipart/form-data; boundary=":           {status: 400, code: syntax, says: []string{"boundary"}},
		"multipart/mixed; boundary=XxX":            {status: 415, says: []string{"multipart/form-data"}},
		"application/json":                         {status: 415, says: []string{"multipart/form-data"}},
		"text/csv":                                 {status: 415, says: []string{"multipart/form-data"}},
		"application/x-www-form-urlencoded":        {status: 415, says: []string{"multipart/form-data"}},
		"; multipart/form-data; boundary=XxX;;; =": {status: 415, says: []string{"multipart/form-data"}},
	} {
		for _, path := range []string{loadAccounts(hr), loadEntitlements(hr)} {
			wantError(t, sendForm(t, server, path, file, "Content-Type", contentType), want.status, want.code, want.says...)
		}
	}
	wantError(t, sendForm(t, server, loadAccounts(hr), file, "Content-Encoding", "gzip"), 415, "", "Content-Encoding")
	wantError(t, sendForm(t, server, loadAccounts(hr), file, "Idempotency-Key", strings.Repeat("k", 256)), 400, illegalValue, "Idempotency-Key")
	wantError(t, sendForm(t, server, loadEntitlements(hr), form(filePart("name2\nx\n"))), 400, illegalValue, `"name2"`)
	for _, unknown := range []string{unknownID, "x", "..%2f..", hr + "0"} {
		for _, what := range []string{"load-accounts", "load-entitlements"} {
			for _, path := range loadPaths(unknown, what) {
				wantError(t, sendForm(t, server, path, file), 404, "404.0 Not Found")
			}
		}
	}
	db.holds(0)
	db.becomesEmpty()
	wantSubset(t, get(t, server, sourcesPath+"/"+hr), 200, `{"accountCount":0}`)
	// The first byte too many is one.
	padded := "id,name,department,groups\n" + strings.Repeat("\n", 2<<20-26)
	endsWith(t, server, launchedID(t, server, sendForm(t, server, loadAccounts(hr), form(filePart(padded)))), accountsDone)
	wantError(t, sendForm(t, server, loadAccounts(hr), form(filePart(padded+"\n"))), 413, "")
}

// A form that breaks off, wherever that is, is refused: what is missing may be
// what it is about.
func TestLoadRefusesHalfAForm(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	hr, _ := createSource(t, server, hrSource)
	db := openDatabase(t, server)
	whole := form(field("allowDeletions", "1"), filePart(people), field("disableOptimization", "true"))
	for n := 1; n < len(whole)-len("\r\n"); n++ {
		if answer := sendForm(t, server, loadAccounts(hr), whole[:n]); answer.Status != 400 {
			t.Fatalf("the first %d bytes: %d %s", n, answer.Status, answer.Body)
		}
	}
	for _, n := range []int{len(form(field("allowDeletions", "1"))) - 9, 150, 250, len(whole) - 3} {
		for _, coding := range []string{"Content-Length: 5000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n" + strconv.FormatInt(int64(n)+1, 16) + "\r\n"} {
			status, text := breakOff(t, server, "POST "+loadAccounts(hr)+" HTTP/1.1\r\nHost: "+server.Addr+"\r\nContent-Type: "+formType+"\r\n"+coding+whole[:n])
			if status != 0 && (status != 400 || !strings.Contains(text, "whole")) {
				t.Errorf("broken off after %d bytes: %d %s", n, status, text)
			}
		}
	}
	db.holds(0)
	db.becomesEmpty()
}

// breakOff sends part of a request, sends no more, and returns the answer; a
// status of 0 is none, where the server took the client for gone.
func breakOff(t *testing.T, server *apptest.Server, request string) (int, string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// occupy gives the only worker of a server something to do that takes longer
// than any test, and returns the task.
func occupy(t *testing.T, server *apptest.Server) string {
	t.Helper()
	columns := delimitedtest.Columns()
	other, _ := createSource(t, server, `{"name":"Busy","type":"DelimitedFile","connectorAttributes":{"accountId":"`+columns[0]+`"}}`)
	var file strings.Builder
	if err := delimitedtest.Generate(&file, delimitedtest.Options{Rows: 150_000, Groups: true}); err != nil {
		t.Fatal(err)
	}
	return launchedID(t, server, sendForm(t, server, loadAccounts(other), form(filePart(file.String()))))
}

func cancelTask(t *testing.T, server *apptest.Server, id string) {
	t.Helper()
	wantStatus(t, post(t, server, stintTask(id, "cancel"), `{}`), 202)
}

func TestLoadWhileOneIsInProgress(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Configure: func(c *config.Config) { c.Workers = 1 }})
	hr, _ := createSource(t, server, hrSource)
	long := occupy(t, server)
	first := launchedID(t, server, sendForm(t, server, loadAccounts(hr), form(filePart(people))))
	for _, path := range loadPaths(hr, "load-accounts") {
		answer := sendForm(t, server, path, form(filePart(people)))
		second := launchedID(t, server, answer)
		// It has ended in the very answer.
		busy := wantSubset(t, answer, 202, `{"success":true,"task":{"completionStatus":"ERROR","progress":null}}`)
		messages, _ := member(member(busy, "task"), "messages").([]any)
		if text := fmt.Sprint(messages); len(messages) != 1 || !strings.Contains(text, first) || !strings.Contains(text, "must complete") {
			t.Errorf("messages: %v", messages)
		}
		wantSubset(t, get(t, server, "/task-status/v1/"+second), 200, `{"completionStatus":"ERROR"}`)
		wantSubset(t, get(t, server, "/account-aggregations/v1/"+second+"/status"), 200, `{"status":"COMPLETED","totalAccounts":0}`)
	}
	wantSubset(t, get(t, server, "/task-status/v1/"+first), 200, `{"completionStatus":null,"launched":null}`)
	wantSubset(t, get(t, server, "/account-aggregations/v1/"+first+"/status"), 200, `{"status":"STARTED","totalAccounts":0}`)
	// Another sort of aggregation is not in its way.
	entitlements := launchedID(t, server, sendForm(t, server, loadEntitlements(hr), form()))
	wantSubset(t, get(t, server, stintTask(entitlements)), 200, `{"state":"queued","waiting":"waiting for a worker to be free"}`)
	wantSubset(t, sendForm(t, server, loadEntitlements(hr), form()), 202, `{"completionStatus":"ERROR"}`)
	wantSubset(t, get(t, server, "/task-status/v1/"+long), 200, `{"completionStatus":null}`)
	cancelTask(t, server, long)
	endsWith(t, server, long, `{"completionStatus":"TERMINATED"}`)
	wantSubset(t, get(t, server, "/account-aggregations/v1/"+long+"/status"), 200, `{"status":"CANCELLED"}`)
	endsWith(t, server, first, accountsDone)
	endsWith(t, server, entitlements, entitlementsDone)
	endsWith(t, server, launchedID(t, server, sendForm(t, server, loadAccounts(hr), form(filePart(people)))), accountsDone)
	db := openDatabase(t, server)
	db.becomesEmpty()
	if n := db.count("SELECT count(*) FROM changes WHERE change = 'CREATED' AND key IN ('u1', 'u2')"); n != 2 {
		t.Errorf("%d accounts were created, want 2", n)
	}
}

func TestLoadOnceWithAKey(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	hr, _ := createSource(t, server, hrSource)
	other, _ := createSource(t, server, strings.Replace(hrSource, `"HR"`, `"Other"`, 1))
	db := openDatabase(t, server)
	body := form(filePart(people))
	first := launchedID(t, server, sendForm(t, server, loadAccounts(hr), body, "Idempotency-Key", "k"))
	again := func(path, body, contentType string) {
		t.Helper()
		answer := sendForm(t, server, path, body, "Idempotency-Key", "k", "Content-Type", contentType)
		if id := launchedID(t, server, answer); id != first || answer.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: the task %s, replayed %q; want %s", path, id, answer.Header.Get("Idempotency-Replayed"), first)
		}
	}
	for _, path := range loadPaths(hr, "load-accounts") {
		again(path, body, formType)
	}
	again(loadAccounts(hr), strings.ReplaceAll(body, "XxX", "Yy"), "multipart/form-data; boundary=Yy")
	endsWith(t, server, first, accountsDone)
	again(loadAccounts(hr), body, formType)
	for name, answer := range map[string]apptest.Answer{
		"another file":   sendForm(t, server, loadAccounts(hr), form(filePart(people+"u3,Cy,,\n")), "Idempotency-Key", "k"),
		"another field":  sendForm(t, server, loadAccounts(hr), form(filePart(people), field("allowDeletions", "1")), "Idempotency-Key", "k"),
		"another source": sendForm(t, server, loadAccounts(other), body, "Idempotency-Key", "k"),
		"another sort":   sendForm(t, server, loadEntitlements(hr), body, "Idempotency-Key", "k"),
		"another launch": post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, "Idempotency-Key", "k"),
	} {
		if answer.Status != 409 {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Body)
		}
	}
	if refused := sendForm(t, server, loadAccounts(hr), form(), "Idempotency-Key", "free"); refused.Status != 400 {
		t.Errorf("no file: %d", refused.Status)
	}
	// What was refused has not used its key.
	launchedID(t, server, sendForm(t, server, loadAccounts(other), body, "Idempotency-Key", "free"))
	db.holds(2)
	db.becomesEmpty()
}

func TestLoadPathsThatAreNone(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	hr, _ := createSource(t, server, hrSource)
	for _, path := range loadPaths(hr, "load-uncorrelated-accounts") {
		wantError(t, sendForm(t, server, path, form(filePart(people))), 404, "", "identities", "load-accounts")
	}
	for _, what := range []string{"load-accounts", "load-entitlements"} {
		for _, path := range loadPaths(hr, what) {
			if answer := get(t, server, path); answer.Status != 405 || answer.Header.Get("Allow") != "POST" {
				t.Errorf("GET %s: %d, %s", path, answer.Status, answer.Header.Get("Allow"))
			}
			wantError(t, sendForm(t, server, path, form(), "Accept", "text/html"), 406, "")
		}
	}
	for _, path := range []string{"/v3/account-aggregations/" + unknownID + "/status", "/latest/sources/" + hr + "/load-accounts", "/sources/v1/" + hr} {
		wantError(t, get(t, server, path), 404, "")
	}
	for _, id := range []string{unknownID, "x"} {
		wantError(t, get(t, server, "/account-aggregations/v1/"+id+"/status"), 404, "")
	}
	external, _ := launch(t, server, `{"type":"CLOUD_ACCOUNT_AGGREGATION"}`)
	wantError(t, get(t, server, "/account-aggregations/v1/"+external+"/status"), 404, "", external)
}
