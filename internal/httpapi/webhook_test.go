package httpapi_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
	"stint/internal/audit"
	"stint/internal/config"
	"stint/internal/principal"
)

const webhooksPath = "/stint/v1/webhooks"

// soon has the queue looked at often.
func soon(c *config.Config) { c.Poll = config.Duration(50 * time.Millisecond) }

// message is what a receiver got.
type message struct {
	ID, At, Signature, Agent, Body string
	Type                           string
	Data                           map[string]any
}

// receiver takes messages, and answers what it is told to.
type receiver struct {
	*httptest.Server
	got chan message

	mu     sync.Mutex
	answer func(w http.ResponseWriter, n int)
	n      int
}

func newReceiver(t *testing.T, answer func(w http.ResponseWriter, n int)) *receiver {
	t.Helper()
	r := &receiver{got: make(chan message, 1000), answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		var m message
		_ = json.Unmarshal(body, &m)
		m.ID, m.At, m.Signature = q.Header.Get("webhook-id"), q.Header.Get("webhook-timestamp"), q.Header.Get("webhook-signature")
		m.Agent, m.Body = q.Header.Get("User-Agent"), string(body)
		r.mu.Lock()
		n := r.n
		r.n++
		r.mu.Unlock()
		r.got <- m
		if r.answer != nil {
			r.answer(w, n)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// next waits for a message.
func (r *receiver) next(t *testing.T) message {
	t.Helper()
	select {
	case m := <-r.got:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("no message came")
		return message{}
	}
}

// createHook makes a webhook and returns its id and secret.
func createHook(t *testing.T, server *apptest.Server, body string) (id, secret string) {
	t.Helper()
	answer := post(t, server, webhooksPath, body)
	wantStatus(t, answer, 201)
	hook := decoded(t, answer)
	id, _ = member(hook, "id").(string)
	secret, _ = member(hook, "secret").(string)
	if location := answer.Header.Get("Location"); location != webhooksPath+"/"+id {
		t.Errorf("Location is %q", location)
	}
	return id, secret
}

// finish launches a task and ends it.
func finish(t *testing.T, server *apptest.Server, body, status string) string {
	t.Helper()
	id, token := launch(t, server, body)
	wantStatus(t, report(t, server, id, token, `{"attempt":1,"completionStatus":"`+status+`"}`), 200)
	return id
}

// awaitDelivery asks for the deliveries of a webhook until the first of those that a
// filter selects says what is wanted.
func awaitDelivery(t *testing.T, server *apptest.Server, hook, filter, want string) any {
	t.Helper()
	var expected any
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		list, _ := decoded(t, get(t, server, webhooksPath+"/"+hook+"/deliveries?count=true&filters="+filter)).([]any)
		if len(list) > 0 && len(subset("", expected, list[0])) == 0 {
			return list[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("the deliveries are %v, want %s", list, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestWebhookLife(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true, Configure: soon})
	r := newReceiver(t, nil)
	earlier := finish(t, server, `{"type":"IDENTITY_REFRESH"}`, "SUCCESS")
	id, secret := createHook(t, server, `{"name":"Chat É","url":"`+r.URL+`/a?b=c"}`)
	failures, _ := createHook(t, server, `{"name":"failures","url":"`+r.URL+`","events":["TASK.failed"],"filter":"sourceId eq \"s1\""}`)
	path := webhooksPath + "/" + id
	wantSubset(t, get(t, server, path), 200, `{"name":"Chat É","url":"`+r.URL+`/a?b=c","events":["task.completed","task.failed"],
		"filter":"","enabled":true,"disabledReason":null,"secretRotated":null}`)
	list := get(t, server, webhooksPath+"?count=true")
	if wantSubset(t, list, 200, `[{"name":"Chat É"},{"name":"failures"}]`); list.Header.Get("X-Total-Count") != "2" || strings.Contains(list.Text(t), "whsec_") {
		t.Errorf("%s of %s", list.Header.Get("X-Total-Count"), list.Text(t))
	}

	done := finish(t, server, `{"type":"IDENTITY_REFRESH","uniqueName":"<é>"}`, "WARNING")
	m := r.next(t)
	if m.Type != "task.completed" || m.Data["id"] != done || m.Data["completionStatus"] != "WARNING" || m.Data["history"] != nil || m.Agent != "Stint-Webhooks" {
		t.Errorf("got %+v", m)
	}
	shown := decoded(t, get(t, server, stintTask(done)))
	object, _ := shown.(map[string]any)
	delete(object, "history")
	if diff := cmp.Diff(object, m.Data); diff != "" {
		t.Errorf("the task (-shown +sent):\n%s", diff)
	}
	d := awaitDelivery(t, server, id, "", `{"id":"`+m.ID+`","taskId":"`+done+`","event":"task.completed","state":"delivered","attempts":1,"lastStatus":200,"lastError":null,"nextAttempt":null}`)
	if member(d, "done") == nil || member(d, "webhookId") != id {
		t.Errorf("the delivery is %v", d)
	}
	failed := finish(t, server, `{"type":"IDENTITY_REFRESH","target":{"id":"S1","type":"APPLICATION","name":"HR [source]"}}`, "ERROR")
	for range 2 {
		if m := r.next(t); m.Type != "task.failed" || m.Data["id"] != failed {
			t.Errorf("got %+v", m)
		}
	}
	awaitDelivery(t, server, failures, "taskId+eq+%22"+failed+"%22", `{"state":"delivered"}`)
	if all := decoded(t, get(t, server, webhooksPath+"/"+failures+"/deliveries")); len(all.([]any)) != 1 {
		t.Errorf("of failures %v", all)
	}
	if none := get(t, server, path+"/deliveries?filters=taskId+eq+%22"+earlier+"%22"); none.Text(t) != "[]" {
		t.Errorf("what completed before was told: %s", none.Text(t))
	}

	again := post(t, server, path+"/deliveries/"+m.ID+"/redeliver", `{"reason":"lost"}`)
	wantSubset(t, again, 202, `{"id":"`+m.ID+`","state":"pending","attempts":1}`)
	if repeat := r.next(t); repeat.ID != m.ID || repeat.Body != m.Body {
		t.Errorf("the repeat is %+v", repeat)
	}
	awaitDelivery(t, server, id, "id+eq+%22"+m.ID+"%22", `{"state":"delivered","attempts":2}`)

	rotated := post(t, server, path+"/rotate", "", "Stint-Reason", "it was lost")
	wantStatus(t, rotated, 200)
	next, _ := member(decoded(t, rotated), "secret").(string)
	wantStatus(t, post(t, server, path+"/test", ""), 202)
	test := r.next(t)
	if test.Type != "webhook.test" || test.Data["webhookId"] != id {
		t.Errorf("the test is %+v", test)
	}
	verify(t, m, secret)
	verify(t, test, secret) // for a day
	verify(t, test, next)

	patched := merge(t, server, path, `{"enabled":false,"name":"x","filter":"type eq \"IDENTITY_REFRESH\""}`)
	wantSubset(t, patched, 200, `{"enabled":false,"name":"x","disabledReason":null}`)
	wantError(t, post(t, server, path+"/test", ""), 409, "", "disabled")
	wantError(t, post(t, server, path+"/deliveries/"+m.ID+"/redeliver", ""), 409, "", "disabled")
	wantStatus(t, merge(t, server, path, `{"enabled":true}`), 200)
	wantStatus(t, remove(t, server, path, "If-Match", patched.Header.Get("ETag")), 412)
	wantSubset(t, remove(t, server, path, "Stint-Reason", "gone"), 200, `{"id":"`+id+`"}`)
	wantError(t, get(t, server, path), 404, "", "no webhook has the id")
	wantError(t, get(t, server, path+"/deliveries"), 404, "", "no webhook has the id")

	var told []string
	for _, e := range audited(t, server, id) {
		told = append(told, string(e.Action)+" "+e.Reason)
		if strings.Contains(string(e.Before)+string(e.After)+e.Words, "whsec_") {
			t.Errorf("the audit of %s holds a secret", e.Action)
		}
	}
	want := []string{
		"webhook.create ", "webhook.redeliver lost", "webhook.rotate it was lost", "webhook.test ", "webhook.update ", "webhook.update ", "webhook.delete gone",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func merge(t *testing.T, server *apptest.Server, target, body string) apptest.Answer {
	t.Helper()
	return server.Send(t, apptest.Request{
		Method: "PATCH", Target: target, Header: header("Content-Type", "application/merge-patch+json"), Body: body,
	})
}

func TestWebhookErrors(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Configure: soon})
	id, _ := createHook(t, server, `{"name":"a","url":"http://127.0.0.1:1/","enabled":false}`)
	for body, says := range map[string]string{
		`{}`:                                 "name: is empty",
		`{"name":"a"}`:                       "url: is empty",
		`{"name":" a","url":"x"}`:            "name",
		`{"name":"a","url":"ftp://x"}`:       "must begin with http:// or https://",
		`{"name":"a","url":"/x"}`:            "must begin with http:// or https://",
		`{"name":"a","url":"http://"}`:       "names no host",
		`{"name":"a","url":"http://u:p@x/"}`: "must not hold a user or a password",
		`{"name":"a","url":"http://x/#f"}`:   "a fragment is not sent",
		`{"name":"a","url":"http://x/ "}`:    "without spaces",
		`{"name":"a","url":"http://x/%zz"}`:  "it is no URL",
		`{"name":"a","url":"http://x/` + strings.Repeat("a", 2050) + `"}`:             "at most 2048",
		`{"name":"a","url":"http://x/","events":[]}`:                                  "one or more of task.completed, task.failed",
		`{"name":"a","url":"http://x/","events":["task.started"]}`:                    `"task.started" is not an event: task.completed, task.failed`,
		`{"name":"a","url":"http://x/","events":["task.failed","TASK.FAILED"]}`:       "stands twice",
		`{"name":"a","url":"http://x/","filter":"sourceId is s"}`:                     "filter",
		`{"name":"a","url":"http://x/","filter":"colour eq \"red\""}`:                 "colour",
		`{"name":"a","url":"http://x/","filter":"` + strings.Repeat("a", 5000) + `"}`: "at most 4096",
		`{"name":"a","url":"http://x/","secret":"whsec_"}`:                            "secret",
		`{"name":"a","url":"http://x/","events":"task.failed"}`:                       "events",
	} {
		wantError(t, post(t, server, webhooksPath, body), 400, "", says)
	}
	path := webhooksPath + "/" + id
	for body, says := range map[string]string{
		`{"url":"x"}`: "must begin with", `{"id":"x"}`: "cannot be changed", `{"name":null}`: "name: is empty", `{"filter":"x"}`: "filter",
		`{"disabledReason":"x"}`: "cannot be changed", `[]x`: "", `7`: "RFC 7396",
	} {
		wantError(t, merge(t, server, path, body), 400, "", says)
	}
	for _, target := range []string{webhooksPath + "/" + unknownID, webhooksPath + "/no-id"} {
		wantError(t, get(t, server, target), 404, "", "no webhook has the id")
		wantError(t, merge(t, server, target, `{"name":"b"}`), 404, "")
		wantError(t, remove(t, server, target), 404, "")
		for _, action := range []string{"/test", "/rotate", "/deliveries/" + unknownID + "/redeliver"} {
			wantError(t, post(t, server, target+action, ""), 404, "")
		}
	}
	wantError(t, get(t, server, path+"/deliveries?filters=state+eq+%22lost%22"), 400, "", "pending, delivered, failed")
	wantStatus(t, merge(t, server, path, `{"enabled":true}`), 200)
	wantError(t, post(t, server, path+"/deliveries/"+unknownID+"/redeliver", ""), 404, "", "no delivery of this webhook")
	wantError(t, post(t, server, path+"/deliveries/x/redeliver", ""), 404, "", "no delivery of this webhook")
	for n := range 49 {
		createHook(t, server, fmt.Sprintf(`{"name":"w%d","url":"http://127.0.0.1:1/"}`, n))
	}
	wantError(t, post(t, server, webhooksPath, `{"name":"one too many","url":"http://127.0.0.1:1/"}`), 409, "", "at most 50")
}

// TestWebhookIsTriedAgain: after what is wrong, with the same id; not after a 410.
func TestWebhookIsTriedAgain(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Configure: soon})
	r := newReceiver(t, func(w http.ResponseWriter, n int) {
		switch n {
		case 0:
			w.WriteHeader(http.StatusInternalServerError)
		case 1:
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	id, secret := createHook(t, server, `{"name":"a","url":"`+r.URL+`"}`)
	done := finish(t, server, `{"type":"IDENTITY_REFRESH"}`, "TERMINATED")
	first := r.next(t)
	awaitDelivery(t, server, id, "", `{"state":"pending","attempts":1,"lastStatus":500,"lastError":"the receiver answered 500","done":null}`)
	second := r.next(t)
	verify(t, second, secret)
	if second.ID != first.ID || second.Body != first.Body || first.Type != "task.failed" || first.Data["id"] != done {
		t.Errorf("%+v, then %+v", first, second)
	}
	d := awaitDelivery(t, server, id, "", `{"state":"pending","attempts":2,"lastStatus":null}`)
	if said, _ := member(d, "lastError").(string); !strings.Contains(said, "EOF") {
		t.Errorf("a closed connection is told as %q", said)
	}
	// Somebody does not want to wait.
	wantStatus(t, post(t, server, webhooksPath+"/"+id+"/deliveries/"+first.ID+"/redeliver", ""), 202)
	if third := r.next(t); third.ID != first.ID {
		t.Errorf("%+v, then %+v", first, third)
	}
	awaitDelivery(t, server, id, "", `{"state":"delivered","attempts":3,"lastStatus":204}`)

	gone := newReceiver(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusGone) })
	other, _ := createHook(t, server, `{"name":"gone","url":"`+gone.URL+`","events":["task.completed"]}`)
	finish(t, server, `{"type":"IDENTITY_REFRESH"}`, "SUCCESS")
	gone.next(t)
	awaitDelivery(t, server, other, "", `{"state":"failed","attempts":1,"lastStatus":410}`)
	wantSubset(t, get(t, server, webhooksPath+"/"+other), 200, `{"enabled":false,"disabledReason":"its receiver answered 410 Gone"}`)
	entries := audited(t, server, other)
	if e := entries[len(entries)-1]; e.Action != audit.WebhookDisable || e.Origin.Actor != "System" {
		t.Errorf("the last entry is %+v", e)
	}
	wantSubset(t, merge(t, server, webhooksPath+"/"+other, `{"enabled":true}`), 200, `{"enabled":true,"disabledReason":null}`)
}

// TestWebhookRedirect is not followed.
func TestWebhookRedirect(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Configure: soon})
	other := newReceiver(t, nil)
	r := newReceiver(t, func(w http.ResponseWriter, _ int) {
		w.Header().Set("Location", other.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	id, _ := createHook(t, server, `{"name":"a","url":"`+r.URL+`"}`)
	wantStatus(t, post(t, server, webhooksPath+"/"+id+"/test", ""), 202)
	r.next(t)
	awaitDelivery(t, server, id, "", `{"state":"pending","lastStatus":307,"lastError":"the receiver answered 307"}`)
	if len(other.got) > 0 {
		t.Error("the redirect was followed")
	}
}

// TestWebhookHangs: one that hangs holds up neither the others, nor tasks, nor the stop
// of the server (which ends with the test).
func TestWebhookHangs(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Configure: soon})
	over := make(chan struct{})
	hanging := newReceiver(t, func(http.ResponseWriter, int) { <-over })
	t.Cleanup(func() { close(over) })
	good := newReceiver(t, nil)
	createHook(t, server, `{"name":"hangs","url":"`+hanging.URL+`"}`)
	createHook(t, server, `{"name":"good","url":"`+good.URL+`"}`)
	var want, got []string
	for range 20 {
		want = append(want, finish(t, server, `{"type":"IDENTITY_REFRESH"}`, "SUCCESS"))
	}
	for range want {
		id, _ := good.next(t).Data["id"].(string)
		got = append(got, id)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	for range 4 {
		hanging.next(t)
	}
	if len(hanging.got) > 0 {
		t.Error("more than four messages are under way to one receiver")
	}
	begun := time.Now()
	if err := server.App.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the stop took %s", took)
	}
}

func TestWebhooksAreForAdministrators(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	for _, c := range []principal.Client{
		{Sort: principal.Application, Scopes: []principal.Scope{principal.WebhooksManage}},
		{Levels: []principal.Level{principal.SourceAdmin}},
	} {
		token := server.TokenOf(t, c)
		wantError(t, get(t, server, webhooksPath, "Authorization", "Bearer "+token), 403, "", "to manage webhooks takes")
	}
	token := server.TokenOf(t, principal.Client{Levels: []principal.Level{principal.OrgAdmin}, Scopes: []principal.Scope{principal.WebhooksManage}})
	wantStatus(t, get(t, server, webhooksPath, "Authorization", "Bearer "+token), 200)
}

// verify checks a signature as Standard Webhooks says; test/clients does so with the
// official library.
func verify(t *testing.T, m message, secret string) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) != 32 {
		t.Fatalf("the secret is %d bytes, %v", len(key), err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", m.ID, m.At, m.Body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if !slices.Contains(strings.Fields(m.Signature), want) {
		t.Errorf("the signature is %q, want %q", m.Signature, want)
	}
	at, err := strconv.ParseInt(m.At, 10, 64)
	if age := time.Since(time.Unix(at, 0)); err != nil || age < -time.Minute || age > 5*time.Minute {
		t.Errorf("it is of %s: %s ago, %v", m.At, age, err)
	}
}
