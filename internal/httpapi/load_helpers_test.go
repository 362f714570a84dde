package httpapi_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"stint/internal/apptest"
)

const (
	formType = "multipart/form-data; boundary=XxX"
	// people is a file for a source of hrSource.
	people   = "id,name,department,groups\nu1,Ann,Sales,\"a,b\"\nu2,Bob,IT,a\n"
	hrSource = `{"name":"HR","type":"DelimitedFile","connectorAttributes":{"accountId":"id","displayName":"name","entitlements":["groups"],
"columns":["id","name","department","groups"]}}`
)

// part is one part of a form.
type part struct{ headers, content string }

func field(name, value string) part {
	return part{`Content-Disposition: form-data; name="` + name + `"`, value}
}

func filePart(content string) part {
	return part{`Content-Disposition: form-data; name="file"; filename="people.csv"` + "\r\nContent-Type: text/csv", content}
}

// form is a body of formType.
func form(parts ...part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--XxX\r\n" + p.headers + "\r\n\r\n" + p.content + "\r\n")
	}
	return b.String() + "--XxX--\r\n"
}

// loadPaths are the spellings of what launches an aggregation of a source.
func loadPaths(source, what string) []string {
	paths := []string{"/sources/v1/" + source + "/" + what}
	for _, version := range []string{"beta", "v3", "v2024", "v2025", "v2026"} {
		paths = append(paths, "/"+version+"/sources/"+source+"/"+what)
	}
	return paths
}

func loadAccounts(source string) string { return loadPaths(source, "load-accounts")[0] }

func loadEntitlements(source string) string { return loadPaths(source, "load-entitlements")[0] }

// sendForm posts a body of formType; a Content-Type among the pairs goes instead.
func sendForm(t *testing.T, server *apptest.Server, target, body string, pairs ...string) apptest.Answer {
	t.Helper()
	return post(t, server, target, body, append([]string{"Content-Type", formType}, pairs...)...)
}

// launchedID returns the id of a launched task, whatever the form of the answer.
// The task is there at once, under all spellings.
func launchedID(t *testing.T, server *apptest.Server, answer apptest.Answer) string {
	t.Helper()
	wantStatus(t, answer, 202)
	body := decoded(t, answer)
	if inner := member(body, "task"); inner != nil {
		body = inner
	}
	id, _ := member(body, "id").(string)
	for _, path := range spellings() {
		wantStatus(t, get(t, server, path+"/"+id), 200)
	}
	if location := answer.Header.Get("Location"); location != stintTask(id) {
		t.Errorf("Location is %q", location)
	}
	return id
}

// ended waits for the end of a task.
func ended(t *testing.T, server *apptest.Server, id string) {
	t.Helper()
	wantSubset(t, get(t, server, stintTask(id, "wait?timeout=60")), 200, `{"state":"completed"}`)
}

// endsWith waits for the end of a task, and says what it must look like then.
func endsWith(t *testing.T, server *apptest.Server, id, want string) {
	t.Helper()
	ended(t, server, id)
	wantSubset(t, get(t, server, "/task-status/v1/"+id), 200, want)
}

// database looks into a server's file beside the server.
type database struct {
	t  *testing.T
	db *sql.DB
}

func openDatabase(t *testing.T, server *apptest.Server) *database {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+server.DB+"?mode=ro&_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &database{t, db}
}

func (d *database) count(query string) (n int) {
	d.t.Helper()
	if err := d.db.QueryRowContext(d.t.Context(), query).Scan(&n); err != nil {
		d.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// holds fails unless there are so many tasks and runs, and no upload that is
// neither a task's nor garbage.
func (d *database) holds(tasks int) {
	d.t.Helper()
	for query, want := range map[string]int{
		"SELECT count(*) FROM tasks": tasks,
		"SELECT count(*) FROM runs":  tasks,
		"SELECT count(*) FROM uploads WHERE task_id IS NULL AND id NOT IN (SELECT ref FROM garbage)": 0,
	} {
		if got := d.count(query); got != want {
			d.t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

// becomesEmpty waits until the sweep has deleted what nothing needs any more.
func (d *database) becomesEmpty() {
	d.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	const query = "SELECT (SELECT count(*) FROM uploads) + (SELECT count(*) FROM upload_chunks) + (SELECT count(*) FROM garbage) + (SELECT count(*) FROM staged)"
	for d.count(query) > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			d.t.Fatalf("%d uploads, %d chunks, %d pieces of garbage and %d staged rows are left", d.count("SELECT count(*) FROM uploads"),
				d.count("SELECT count(*) FROM upload_chunks"), d.count("SELECT count(*) FROM garbage"), d.count("SELECT count(*) FROM staged"))
		}
	}
}
