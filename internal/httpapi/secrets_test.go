package httpapi_test

import (
	"encoding/base64"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stint/internal/apptest"
	"stint/internal/config"
	"stint/internal/principal"
)

// Whatever is asked, and in whatever wrong way: no line of the log and no refusal
// holds a secret, and nobody else may read a file of the server.
func TestNoSecretIsTold(t *testing.T) {
	t.Parallel()
	log := apptest.NewBuffer()
	server := apptest.Start(t, apptest.Options{
		Tokens: true, Log: slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}),
		Configure: func(c *config.Config) { c.CORSOrigins = config.Origins{console} },
	})
	client := server.Client(t, principal.Client{
		Sort: principal.PersonalAccessToken, User: "ann", Levels: []principal.Level{principal.OrgAdmin}, Scopes: []principal.Scope{principal.AllScopes},
	})
	token := server.Token(t, client)
	id, report := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	const wrong = "0123456789abcdef0123456789abcdef-wrong"
	secrets := []string{client.Secret, token, token[strings.LastIndex(token, "."):], report, server.Admin(t).Secret, server.AdminToken(t), wrong}
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
	}
	secrets = append(secrets, basic(client.ID, client.Secret)[6:], basic(client.ID, wrong)[6:])

	form := func(id, secret string) string {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}.Encode()
	}
	const formMedia = "application/x-www-form-urlencoded"
	for _, request := range []apptest.Request{
		// Right, and so granted: only the log is looked at.
		{Method: "POST", Target: "/oauth/token?" + form(client.ID, client.Secret)},
		{Method: "POST", Target: "/oauth/token", Header: header("Content-Type", formMedia), Body: form(client.ID, client.Secret)},
		{Method: "POST", Target: "/oauth/token", Header: header("Content-Type", formMedia, "Authorization", basic(client.ID, client.Secret)), Body: "grant_type=client_credentials"},
		{Method: "GET", Target: "/task-status/v1", Header: header("Authorization", "Bearer "+token)},
		{Method: "POST", Target: stintTask(id, "report"), Header: header("Content-Type", "application/json", "Stint-Report-Token", report), Body: `{"attempt":1}`},
		// Wrong.
		{Method: "POST", Target: "/oauth/token?" + form(client.ID, wrong)},
		{Method: "POST", Target: "/oauth/token?" + form(client.Secret, client.ID)}, // mixed up
		{Method: "POST", Target: "/oauth/token?" + form(client.ID, client.Secret) + "&client_secret=" + wrong},
		{Method: "POST", Target: "/oauth/token", Header: header("Content-Type", formMedia), Body: form(client.ID, wrong) + "%zz"},
		{Method: "POST", Target: "/oauth/token", Header: header("Content-Type", "application/json"), Body: `{"client_secret":"` + client.Secret + `"}`},
		{Method: "POST", Target: "/oauth/token", Header: header("Content-Type", formMedia, "Authorization", basic(client.ID, wrong)), Body: "grant_type=client_credentials"},
		{Method: "POST", Target: "/oauth/token", Header: header("Content-Type", formMedia), Body: "grant_type=" + client.Secret},
		{Method: "POST", Target: "/oauth/token", Header: header("Content-Type", formMedia), Body: form(client.ID, client.Secret) + "&scope=none"},
		{Method: "GET", Target: "/task-status/v1", Header: header("Authorization", "Bearer "+wrong)},
		{Method: "GET", Target: "/task-status/v1", Header: header("Authorization", "Bearer "+token+"x")},
		{Method: "GET", Target: "/task-status/v1", Header: header("Authorization", token)},
		{Method: "GET", Target: "/task-status/v1", Header: header("Authorization", basic(client.ID, client.Secret))},
		{Method: "GET", Target: "/task-status/v1?access_token=" + token, Header: header("Authorization", "")},
		{Method: "POST", Target: stintTask(id, "report"), Header: header("Content-Type", "application/json", "Stint-Report-Token", wrong), Body: `{"attempt":1}`},
		{Method: "POST", Target: stintTask(id, "report"), Header: header("Content-Type", "application/json", "Stint-Report-Token", report), Body: `{"attempt":9}`},
	} {
		answer := server.Send(t, request)
		if answer.Status >= 500 {
			t.Errorf("%s %.60s: got %d", request.Method, request.Target, answer.Status)
		}
		if answer.Status < 400 {
			continue
		}
		for name, values := range answer.Header {
			wantNoSecret(t, secrets, "the header "+name, strings.Join(values, " "))
		}
		wantNoSecret(t, secrets, "the answer to "+request.Method, answer.Text(t))
	}
	wantStatus(t, get(t, server, "/last"), 404)
	log.Await(t, "/last")
	wantNoSecret(t, secrets, "the log", log.String())

	err := filepath.WalkDir(filepath.Dir(server.DB), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s: %s", path, info.Mode())
		}
		data, err := os.ReadFile(path)
		if err == nil {
			wantNoSecret(t, secrets, path, string(data))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func wantNoSecret(t *testing.T, secrets []string, where, text string) {
	t.Helper()
	for i, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds secret number %d: %.200s", where, i, text[max(0, strings.Index(text, secret)-60):])
		}
	}
}
