package crash

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to look at the file itself

	"stint/client"
	"stint/internal/apptest"
)

// checkBody holds one of Stint's own tasks against the contract.
func checkBody(body json.RawMessage) error { return apptest.DecodeStintTask(body, apptest.WithHistory) }

// withoutHistory is a task's body without what a refused report may add.
func withoutHistory(t *testing.T, task *client.Task) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(task.Raw(), &members); err != nil {
		t.Error(err)
	}
	delete(members, "history")
	body, err := json.Marshal(members)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// checkFile looks at the database itself: it is whole, its audit is, and what
// stands twice says the same.
func checkFile(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for query, want := range map[string]string{
		"PRAGMA integrity_check": "ok",
		`SELECT count(*) FROM tasks WHERE (status IS NULL) != (json_extract(wire, '$.completionStatus') IS NULL)
			OR status IS NOT NULL AND status != json_extract(wire, '$.completionStatus')
			OR lower(hex(id)) != json_extract(wire, '$.id')`: "0",
		`SELECT count(*) FROM tasks WHERE NOT EXISTS (SELECT 1 FROM history WHERE task_id = id)`:                                                     "0",
		`SELECT count(*) FROM tasks WHERE NOT EXISTS (SELECT 1 FROM audit WHERE object = lower(hex(id)) AND action = 'task.launch')`:                 "0",
		`SELECT (SELECT coalesce(sum(n), 0) FROM tallies WHERE dimension = 0 AND level = 0) - (SELECT count(*) FROM tasks)`:                          "0",
		`SELECT (SELECT coalesce(sum(n), 0) FROM tallies WHERE dimension = 1 AND level = 2) - (SELECT count(*) FROM tasks WHERE status IS NULL)`:     "0",
		`SELECT (SELECT coalesce(sum(n), 0) FROM tallies WHERE dimension = 2 AND level = 1) - (SELECT count(*) FROM tasks WHERE status IS NOT NULL)`: "0",
		// Every stored count of every span, against the rows, and the other way round.
		countsThatDiffer: "0",
	} {
		var got string
		if err := db.QueryRowContext(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", query, got, err, want)
		}
	}
	if out, err := exec.CommandContext(t.Context(), binary, "audit", "verify", "--db", path).CombinedOutput(); err != nil {
		t.Errorf("the audit is not whole: %v\n%s", err, out)
	}
}

// countsThatDiffer works all stored counts out anew and counts those that differ.
const countsThatDiffer = `WITH
	levels (level, shift) AS (SELECT level, 19 + 6 * level FROM (SELECT 0 AS level UNION SELECT 1 UNION SELECT 2)),
	per (dimension, value, created) AS (
		SELECT 0, '', created FROM tasks
		UNION ALL SELECT 1, '', created FROM tasks WHERE status IS NULL
		UNION ALL SELECT 2, lower(status), created FROM tasks WHERE status IS NOT NULL
		UNION ALL SELECT 3, lower(kind), created FROM tasks
		UNION ALL SELECT 4, lower(type), created FROM tasks
		UNION ALL SELECT 5, lower(source_id), created FROM tasks WHERE source_id IS NOT NULL
		UNION ALL SELECT 6, lower(launcher), created FROM tasks),
	counted AS (SELECT dimension, value, level, created >> shift AS bucket, count(*) AS n FROM per, levels GROUP BY 1, 2, 3, 4)
	SELECT count(*) FROM (
		SELECT * FROM (SELECT * FROM counted EXCEPT SELECT dimension, value, level, bucket, n FROM tallies)
		UNION ALL SELECT * FROM (SELECT dimension, value, level, bucket, n FROM tallies EXCEPT SELECT * FROM counted))`

// slowLaunch is a launch whose body has arrived in half.
type slowLaunch struct {
	conn net.Conn
	rest string
}

func startSlowLaunch(t *testing.T, addr string) *slowLaunch {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	body := `{"type":"IDENTITY_REFRESH"}`
	_, err = fmt.Fprintf(conn, "POST /stint/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body[:10])
	if err != nil {
		t.Fatal(err)
	}
	return &slowLaunch{conn: conn, rest: body[10:]}
}

// finish sends the rest and returns the status of the answer.
func (s *slowLaunch) finish(t *testing.T) int {
	t.Helper()
	if _, err := io.WriteString(s.conn, s.rest); err != nil {
		t.Errorf("send the rest: %v", err)
		return 0
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(s.conn), r)
	if err != nil {
		t.Errorf("read the answer: %v", err)
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
