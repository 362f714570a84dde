package httpapi_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
	"stint/internal/config"
	"stint/internal/httpapi"
)

// writes are the routes that take a body, as one may ask for them, and the media
// types that they read.
func writes(source string) map[string]string {
	all := map[string]string{}
	for _, r := range httpapi.Routes() {
		if r.Method != http.MethodPost && r.Method != http.MethodPatch {
			continue
		}
		id, media := unknownID, "application/json"
		switch {
		case strings.Contains(r.Path, "/task"):
			id = inProgress
		case strings.Contains(r.Path, "/sources"):
			id = source
		}
		switch {
		case strings.Contains(r.Path, "/load-"):
			media = formType
		case strings.HasPrefix(r.Path, "/oauth"):
			media = "application/x-www-form-urlencoded"
		case r.Method == http.MethodPatch && strings.Contains(r.Path, "task-status"):
			media = jsonPatch
		case r.Method == http.MethodPatch:
			media = mergePatch
		}
		all[r.Method+" "+strings.NewReplacer("{id}", id, "{deliveryId}", id).Replace(r.Path)] = media
	}
	return all
}

func sendTo(t *testing.T, server *apptest.Server, route, media, body string, pairs ...string) apptest.Answer {
	t.Helper()
	method, target, _ := strings.Cut(route, " ")
	h := header(pairs...)
	h["Content-Type"] = media
	request := apptest.Request{Method: method, Target: target, Header: h, Body: body}
	if strings.HasPrefix(target, "/oauth/") { // whose errors have a form of their own
		return apptest.SendUnchecked(t, server.Addr, request)
	}
	return server.Send(t, request)
}

// inventory counts the rows of every table but those that Stint works with by
// itself: its queue, and the files that were refused, which are swept away.
func (d *database) inventory() map[string]int {
	d.t.Helper()
	ctx := context.WithoutCancel(d.t.Context()) // at the end of a test too
	rows, err := d.db.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'river%'
AND name NOT LIKE 'sqlite%' AND name NOT IN ('uploads', 'upload_chunks', 'garbage')`)
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			d.t.Fatal(err)
		}
		var n int
		if err := d.db.QueryRowContext(ctx, "SELECT count(*) FROM "+name).Scan(&n); err != nil {
			d.t.Fatal(err)
		}
		counts[name] = n
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	return counts
}

// besieged is a server that a test attacks: at the end nothing is stored in it
// that was not before, it has grown by little, and it answers.
func besieged(t *testing.T, tokens bool) (server *apptest.Server, source string) {
	t.Helper()
	// For ever, or some of the tasks come of age under way.
	server = apptest.Start(t, apptest.Options{
		Import: caseTasks(t), Tokens: tokens, Configure: func(c *config.Config) { c.Retention, c.AuditRetention = 0, 0 },
	})
	source, _ = createSource(t, server, leastSource)
	db := openDatabase(t, server)
	before, heap := db.inventory(), heapInUse()
	t.Cleanup(func() {
		if diff := cmp.Diff(before, db.inventory()); diff != "" {
			t.Errorf("something was stored (-before +after):\n%s", diff)
		}
		// The servers of tests beside this one are in it.
		if grown := heapInUse() - heap; grown > 256<<20 {
			t.Errorf("the process has grown by %d MiB", grown>>20)
		}
		wantInProgress(t, server, inProgress)
		wantStatus(t, get(t, server, "/task-status/v1?count=true"), 200)
	})
	return server, source
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// bomb is a small text that becomes 64 MiB.
func bomb(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := bytes.Repeat([]byte("0"), 1<<20)
	for range 64 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompressedBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	server, source := besieged(t, true)
	packed := bomb(t)
	for route, media := range writes(source) {
		for _, coding := range []string{"gzip", "GZIP", "br", "identity, gzip"} {
			t.Run(route+" "+coding, func(t *testing.T) {
				t.Parallel()
				wantUnread(t, server, route, media, packed, "Content-Encoding", coding)
			})
		}
		// It is refused by its header: the answer comes although the body does not.
		t.Run(route+" before it comes", func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			wantUnread(t, server, route, media, "", "Content-Encoding", "gzip", "Content-Length", "100000000")
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("refused after %s", took)
			}
		})
	}
}

// wantUnread checks that a body was refused for its coding.
func wantUnread(t *testing.T, server *apptest.Server, route, media, body string, pairs ...string) {
	t.Helper()
	answer := sendTo(t, server, route, media, body, pairs...)
	if strings.Contains(route, "/oauth/") { // whose errors have a form of their own
		wantStatus(t, answer, 415)
		return
	}
	wantError(t, answer, 415, "415.0 Unsupported Media Type", "Content-Encoding")
}

func TestHostileBodies(t *testing.T) {
	t.Parallel()
	server, source := besieged(t, true)
	const deep = 100_000
	for name, body := range map[string]string{
		"a member twice":             `{"type":"IDENTITY_REFRESH","type":"IDENTITY_REFRESH"}`,
		"a member twice, escaped":    `{"type":"IDENTITY_REFRESH","t\u0079pe":"IDENTITY_REFRESH"}`,
		"a member twice, deep":       `{"type":"IDENTITY_REFRESH","attributes":{"a":{"b":1,"b":2}}}`,
		"a member twice, in a patch": `[{"op":"replace","op":"replace","path":"/completionStatus","value":"ERROR"}]`,
		"a member in two cases":      `{"type":"IDENTITY_REFRESH","Type":"IDENTITY_REFRESH"}`,
		"deep arrays":                strings.Repeat("[", deep) + strings.Repeat("]", deep),
		"deep objects":               strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep),
		"deep, in a value":           `{"type":"IDENTITY_REFRESH","attributes":{"a":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + `}}`,
		"deep, without an end":       strings.Repeat(`[{"a":`, deep),
		"deep, in a patch":           `[{"op":"replace","path":"/completionStatus","value":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}]`,
		"invalid UTF-8":              "{\"type\":\"IDENTITY_REFRESH\",\"uniqueName\":\"\xff\xfe\"}",
		"overlong UTF-8":             "{\"type\":\"IDENTITY_REFRESH\",\"uniqueName\":\"\xc0\xaf\"}",
		"invalid UTF-8 in a name":    "{\"\xff\":1}",
		"invalid UTF-8 in a patch":   "[{\"op\":\"replace\",\"path\":\"/completionStatus\",\"value\":\"\xff\"}]",
		"a surrogate alone":          `{"type":"IDENTITY_REFRESH","uniqueName":"\ud800"}`,
		"U+0000":                     `{"type":"IDENTITY_REFRESH","uniqueName":"a\u0000b"}`,
		"a raw NUL":                  "{\"type\":\"IDENTITY_REFRESH\"}\x00",
		"UTF-16":                     "\xff\xfe{\x00}\x00",
		"two values":                 `{"type":"IDENTITY_REFRESH"}{"type":"IDENTITY_REFRESH"}`,
		"not a number":               `{"type":"IDENTITY_REFRESH","heartbeatLimitSeconds":NaN}`,
		"a number beyond all":        `{"type":"IDENTITY_REFRESH","heartbeatLimitSeconds":1e999999}`,
		"a number of 900 KB":         `{"type":"IDENTITY_REFRESH","heartbeatLimitSeconds":` + strings.Repeat("9", 900_000) + `}`,
		"2 MB":                       `{"type":"` + strings.Repeat("a", 2<<20) + `"}`,
		"100,000 members":            `{"type":"IDENTITY_REFRESH",` + strings.Repeat(`"x":1,`, 100_000) + `"y":1}`,
		"100,000 operations":         `[` + strings.Repeat(`{"op":"test","path":"","value":0},`, 1500) + `{"op":"add","path":"/x","value":1}]`,
		"a prototype":                `{"__proto__":{"type":"IDENTITY_REFRESH"}}`,
		"XML":                        `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>`,
		"a compressed one":           bomb(t),
	} {
		for route, media := range writes(source) {
			if strings.Contains(route, " /beta/") || strings.Contains(route, " /v") {
				continue // older spellings of the same
			}
			t.Run(name+" "+route, func(t *testing.T) {
				t.Parallel()
				answer := sendTo(t, server, route, media, body)
				if answer.Status < 400 || answer.Status > 499 {
					t.Errorf("got %d: %.300s", answer.Status, answer.Text(t))
				}
				if strings.Contains(answer.Text(t), "internal") || len(answer.Body) > 4<<10 {
					t.Errorf("the answer is %.5000s", answer.Text(t))
				}
			})
		}
	}
}

func TestHostileQueries(t *testing.T) {
	t.Parallel()
	server, _ := besieged(t, false)
	many := func(n int, name string) string { return strings.Repeat("&"+name+"=1", n)[1:] }
	for target, status := range map[string]int{
		"/task-status/v1?" + many(10_000, "limit"):            400,
		"/task-status/v1?" + many(10_000, "x"):                200, // unknown ones are ignored
		"/task-status/v1?" + many(30_000, "x"):                200,
		"/task-status/v1?limit=1;drop":                        400,
		"/task-status/v1?limit=%zz":                           400,
		"/task-status/v1?limit=%00":                           400,
		"/task-status/v1?filters=%ff%fe":                      400,
		"/task-status/v1?filters=%00":                         400,
		"/task-status/v1?sorters=created,(select%201)":        400,
		"/task-status/v1?limit=1%0d%0aX-Injected:%201":        400,
		"/task-status/v1/" + strings.Repeat("a", 100_000):     404,
		"/" + strings.Repeat("a/", 50_000):                    404,
		"/" + strings.Repeat("../", 30_000) + "etc/passwd":    404,
		"/" + strings.Repeat("%2e%2e%2f", 100) + "etc":        404,
		"/task-status/v1/%0d%0aX-Injected:%201":               404,
		"/%0d%0aSet-Cookie:%20a=b":                            404,
		"/stint/v1/tasks?cursor=" + strings.Repeat("A", 9000): 400,
		"/task-status/v1?cursor=" + strings.Repeat("A", 9000): 200, // no parameter there
	} {
		t.Run(fmt.Sprintf("%.60s", target), func(t *testing.T) {
			t.Parallel()
			answer := get(t, server, target)
			wantStatus(t, answer, status)
			wantNotInjected(t, answer)
		})
	}
}

func wantNotInjected(t *testing.T, answer apptest.Answer) {
	t.Helper()
	for _, name := range []string{"X-Injected", "Set-Cookie"} {
		if got := answer.Header.Values(name); len(got) > 0 {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// injections are texts that would be more than texts to a store that pastes them
// into its SQL.
func injections() []string {
	return []string{
		`'; DROP TABLE tasks; --`, `" OR 1=1 --`, `x') OR ('1'='1`, `\'; DELETE FROM tasks; --`, `1; UPDATE tasks SET launcher = 'evil'`,
		`%' OR '%' = '`, `') UNION SELECT sql FROM sqlite_schema --`, `/* */ -- ?1 :name @name $1`, `$(touch /tmp/x)`, "`id`", `{{7*7}}`, `%s%n%x`,
	}
}

func TestSQLIsText(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	tables := openDatabase(t, server).inventory()
	quoted := func(s string) string { return marshal(t, s) }
	for _, sql := range injections() {
		// As a value: it is found where it is, and nowhere else.
		body := fmt.Sprintf(`{"type":"IDENTITY_REFRESH","uniqueName":%[1]s,"description":%[1]s,"attributes":{%[1]s:%[1]s}}`, quoted(sql))
		id, token := launch(t, server, body)
		want := fmt.Sprintf(`{"uniqueName":%[1]s,"description":%[1]s,"attributes":{%[1]s:%[1]s}}`, quoted(sql))
		wantSubset(t, get(t, server, "/task-status/v1/"+id), 200, want)
		report(t, server, id, token, fmt.Sprintf(`{"attempt":1,"progress":%[1]s,"messages":[{"type":"INFO","text":%[1]s,"key":%[1]s,"parameters":[%[1]s]}]}`, quoted(sql)))
		wantSubset(t, get(t, server, "/task-status/v1/"+id), 200, `{"progress":`+quoted(sql)+`}`)
		wantStatus(t, post(t, server, stintTask(id, "cancel"), `{"reason":`+quoted(sql)+`}`), 202)
		// As a filter: one value, or an error; never a condition.
		for _, field := range []string{"id", "launcher", "uniqueName"} {
			for _, filter := range []string{field + " in (" + quoted(sql) + ")", field + ` eq "` + sql + `"`, field + " eq " + sql} {
				answer := get(t, server, "/stint/v1/tasks?count=true&filters="+url.QueryEscape(filter))
				found := answer.Header.Get("X-Total-Count")
				switch {
				case answer.Status == 400:
				case answer.Status == 200 && (found == "0" || field == "uniqueName" && found == "1"):
				default:
					t.Errorf("%s: got %d, %s found", filter, answer.Status, found)
				}
			}
		}
		for _, query := range []string{"sorters", "limit", "offset", "count"} {
			wantError(t, get(t, server, "/task-status/v1?"+query+"="+url.QueryEscape(sql)), 400, "", query)
		}
		wantStatus(t, get(t, server, "/task-status/v1/"+url.PathEscape(sql)), 404)
	}
	now := openDatabase(t, server).inventory()
	for table, n := range tables {
		if now[table] < n {
			t.Errorf("%s had %d rows and has %d", table, n, now[table])
		}
	}
	wantInProgress(t, server, inProgress)
}

// A line of the log is one event, whatever a client puts into it.
func TestNothingIsInjectedIntoTheLog(t *testing.T) {
	t.Parallel()
	text, lines := apptest.NewBuffer(), apptest.NewBuffer()
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	forms := map[string]*apptest.Buffer{"text": text, "json": lines}
	const fake = "time=2026-01-01T00:00:00.000Z level=ERROR msg=forged"
	for format, log := range forms {
		var handler slog.Handler = slog.NewTextHandler(log, options)
		if format == "json" {
			handler = slog.NewJSONHandler(log, options)
		}
		server := apptest.Start(t, apptest.Options{Import: caseTasks(t), Log: handler})
		for _, evil := range []string{"%0a" + url.PathEscape(fake), "%0d%0a" + url.PathEscape(fake), "%1b%5b2J", "%e2%80%a8" + url.PathEscape(fake), "%22%20status=200", "%00"} {
			for _, method := range []string{"GET", "POST", "PATCH"} {
				answer := server.Send(t, apptest.Request{Method: method, Target: "/nowhere" + evil})
				wantStatus(t, answer, 404)
				wantNotInjected(t, answer)
			}
		}
		for _, name := range []string{"X-Request-Id", "User-Agent", "Stint-Reason", "Idempotency-Key", "If-Match", "If-None-Match", "X-Forwarded-For", "Authorization", "Content-Type", "Stint-Report-Token", "Origin", "Accept-Encoding", "Accept"} {
			for _, value := range []string{`" level=ERROR msg="forged`, "\x7f\x1b[2J", "a\tb", "é\u2028" + fake, strings.Repeat("a", 5000)} {
				for _, method := range []string{"GET", "PATCH"} {
					answer := apptest.SendUnchecked(t, server.Addr, apptest.Request{Method: method, Target: "/task-status/v1/" + unknownID, Header: header(name, value)})
					if answer.Status < 400 || answer.Status > 499 {
						t.Errorf("%s: %s %q: got %d", method, name, value, answer.Status)
					}
					wantNotInjected(t, answer)
				}
			}
		}
		wantStatus(t, get(t, server, "/last"), 404)
		log.Await(t, "/last")
	}
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, "time=20") || strings.HasPrefix(line, fake) || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\r\n\x1b\x00\u2028") {
			t.Errorf("a line of the log is %q", line)
		}
		if strings.Contains(line, "msg=forged") && !strings.Contains(line, `="`) && !strings.Contains(line, `\"`) {
			t.Errorf("a line of the log is forged: %q", line)
		}
	}
	for line := range strings.Lines(lines.String()) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil || event["msg"] == "forged" {
			t.Errorf("a line of the log is %q: %v", line, err)
		}
	}
}

// What could be read in two ways, and so as two requests, is not read.
func TestHostileFraming(t *testing.T) {
	t.Parallel()
	server, _ := besieged(t, false)
	const patchLine = "PATCH /task-status/v1/" + inProgress + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + jsonPatch + "\r\n"
	body := clearAs("ERROR")
	for name, request := range map[string]string{
		"two lengths":             patchLine + fmt.Sprintf("Content-Length: %d\r\nContent-Length: 3\r\n\r\n%s", len(body), body),
		"a negative length":       patchLine + "Content-Length: -1\r\n\r\n" + body,
		"a length with a sign":    patchLine + fmt.Sprintf("Content-Length: +%d\r\n\r\n%s", len(body), body),
		"an unknown coding":       patchLine + "Transfer-Encoding: xchunked\r\n\r\n" + body,
		"two codings":             patchLine + "Transfer-Encoding: gzip, chunked\r\n\r\n" + body,
		"no hexadecimal chunk":    patchLine + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body,
		"a chunk without an end":  patchLine + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%sxx0\r\n\r\n", len(body), body),
		"a chunk beyond all":      patchLine + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + body,
		"a space before a colon":  patchLine + fmt.Sprintf("X-A : b\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"a NUL in a header":       patchLine + fmt.Sprintf("X-A: a\x00b\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"a header without a name": patchLine + fmt.Sprintf(": b\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"two hosts":               strings.Replace(patchLine, "Host: localhost\r\n", "Host: localhost\r\nHost: evil\r\n", 1) + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body),
		"no host":                 strings.Replace(patchLine, "Host: localhost\r\n", "", 1) + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body),
		"HTTP/3.0":                strings.Replace(patchLine, "HTTP/1.1", "HTTP/3.0", 1) + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body),
		"HTTP/2 without TLS":      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"TLS":                     "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("a", 600) + "\r\n\r\n",
		"no HTTP at all":          "HELO example.com\r\nMAIL FROM:<a@example.com>\r\n\r\n",
		"a NUL in the path":       "PATCH /task-status/v1/\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
			in := bufio.NewReader(conn)
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode < 400 || answer.StatusCode > 599 || answer.StatusCode == http.StatusInternalServerError {
				t.Errorf("got %s", answer.Status)
			}
			if _, err := in.ReadByte(); err == nil {
				t.Error("there is a second answer")
			}
		})
	}
}
