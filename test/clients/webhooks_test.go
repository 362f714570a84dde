package clients

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestWebhooksWithTheOfficialLibrary has it verify what a webhook sends, with both
// secrets after a rotation.
func TestWebhooksWithTheOfficialLibrary(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	type message struct {
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	got := make(chan message, 10)
	r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		m := message{Headers: map[string]string{}, Body: string(body)}
		for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			m.Headers[name] = q.Header.Get(name)
		}
		got <- m
	}))
	t.Cleanup(r.Close)
	token := s.signIn(t, s.Admin)
	hook := s.create(t, "/stint/v1/webhooks", `{"name":"a","url":"`+r.URL+`"}`)
	var lines strings.Builder
	next := func(secrets ...string) {
		t.Helper()
		select {
		case m := <-got:
			for _, m.Secret = range secrets {
				line, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				lines.Write(append(line, '\n'))
			}
		case <-time.After(30 * time.Second):
			t.Fatal("no message came")
		}
	}
	var launched struct{ ID, ReportToken string }
	s.send(t, http.MethodPost, "/stint/v1/tasks", token, `{"type":"IDENTITY_REFRESH","uniqueName":"Ünï <&> \u2028"}`).want(t, http.StatusAccepted).read(t, &launched)
	s.send(t, http.MethodPost, "/stint/v1/tasks/"+launched.ID+"/cancel", token, "").want(t, http.StatusAccepted)
	path := "/stint/v1/webhooks/" + hook.ID
	s.send(t, http.MethodPost, path+"/test", token, "").want(t, http.StatusAccepted)
	next(hook.Secret)
	next(hook.Secret)
	var rotated account
	s.send(t, http.MethodPost, path+"/rotate", token, "").want(t, http.StatusOK).read(t, &rotated)
	s.send(t, http.MethodPost, path+"/test", token, "").want(t, http.StatusAccepted)
	next(hook.Secret, rotated.Secret)

	out, err := run(t, "js", nil, lines.String(), "node", "webhooks.mjs")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]int{}
	for line := range strings.Lines(out) {
		var said struct {
			Type, Error string
			Refused     []string
		}
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if said.Error != "" || strings.Join(said.Refused, " ") != "body id time" {
			t.Errorf("the library says %s", line)
		}
		types[said.Type]++
	}
	if types["webhook.test"] != 3 || types["task.failed"] != 1 {
		t.Errorf("verified %v of %s", types, lines.String())
	}
}
