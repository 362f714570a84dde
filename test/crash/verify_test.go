package crash

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"stint/client"
	"stint/test/harness"
)

// verifyAll looks at everything once more when nothing runs any more.
func verifyAll(t *testing.T, k *harness.Keeper, killer *killer) {
	t.Helper()
	for class := range k.Stored {
		k.VerifyStored(t, class)
	}
	for _, task := range k.Tasks {
		now, err := k.Client().GetTask(t.Context(), task.ID)
		if err != nil {
			t.Errorf("task %s: %v", task.ID, err)
			continue
		}
		if err := checkBody(now.Raw()); err != nil {
			t.Errorf("task %s: %v: %+v", task.ID, err, now.History)
		}
		verifyHistory(t, task, now, len(killer.deaths[task.ID]))
	}
}

// verifyHistory: launched, started, interrupted once for every death, and ended
// once.
func verifyHistory(t *testing.T, task *harness.Launched, now *client.Task, deaths int) {
	t.Helper()
	count := map[string]int{}
	attempt := 1
	for i := range now.History {
		h := &now.History[i]
		count[h.Event]++
		if h.Event != "refused" && h.Attempt != attempt {
			t.Errorf("task %s: attempt %d in line %d, want %d: %+v", task.ID, h.Attempt, i, attempt, h)
		}
		if h.Event == "interrupted" {
			attempt++
			if !strings.Contains(h.Text, "the process that ran it has ended") {
				t.Errorf("task %s: %+v", task.ID, h)
			}
		}
		person := h.Event == "launched" || h.Event == "cancelled" || h.Event == "cleared"
		if person != (h.Actor == "anonymous") {
			t.Errorf("task %s: the actor of %+v", task.ID, h)
		}
	}
	if now.Attempt != attempt || count["interrupted"] != deaths {
		t.Errorf("task %s: attempt %d after %d interruptions, of which %d deaths are known", task.ID, now.Attempt, count["interrupted"], deaths)
	}
	end, noted := "completed", 1
	if task.Ended != "" {
		end, noted = task.Event, count["noted"]
	} else if count["started"] < 1 {
		t.Errorf("task %s never started", task.ID)
	}
	if count["launched"] != 1 || now.History[0].Event != "launched" || count[end] != 1 || count["completed"]+count["cancelled"]+count["cleared"] != 1 ||
		count["noted"] != noted || noted > 1 || count["started"] > attempt+1 || task.Ended == "" && count["refused"] > 0 || count["refused"] > 1 {
		t.Errorf("task %s, ended %q by hand: the history %+v", task.ID, task.Ended, now.History)
	}
}

// look looks into the file: which jobs run, and whether they should. A dead
// process has left what it ran; a living one runs nothing but its own.
func (k *killer) look(t *testing.T, alive bool) {
	t.Helper()
	db := openFile(t, k.s.db)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT j.id, json_extract(j.args, '$.taskId'), json_extract(j.args, '$.attempt'),
		json_extract(j.attempted_by, '$[#-1]'), coalesce(t.job = j.id AND t.status IS NULL AND t.attempt = json_extract(j.args, '$.attempt'), 0)
		FROM river_job j LEFT JOIN tasks t ON lower(hex(t.id)) = json_extract(j.args, '$.taskId') WHERE j.state = 'running'`)
	if err != nil {
		t.Errorf("look into the file: %v", err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var job, attempt int64
		var id, process string
		var current bool
		if err := rows.Scan(&job, &id, &attempt, &process, &current); err != nil {
			t.Error(err)
			return
		}
		if !current {
			t.Errorf("job %d runs attempt %d of task %s, which is not its current one", job, attempt, id)
		}
		switch {
		case alive && k.dead[process]:
			t.Errorf("job %d of task %s is still of a dead process", job, id)
		case !alive:
			if k.deaths[id] == nil {
				k.deaths[id] = map[int64]bool{}
			}
			if !k.deaths[id][job] {
				k.hits++
			}
			k.deaths[id][job] = true
			k.dead[process] = true
		}
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
	wantNone(t, db, "SELECT count(*) FROM runs JOIN tasks ON id = task_id WHERE (active IS NULL) != (status IS NOT NULL)")
	wantNone(t, db, "SELECT count(*) FROM tasks WHERE job > 0 AND status IS NULL AND job NOT IN (SELECT id FROM river_job WHERE state IN ('available', 'running'))")
}

// openFile opens the database as nobody's server: it writes nothing.
func openFile(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func wantNone(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != 0 {
		t.Errorf("%s: got %d, %v, want none", query, n, err)
	}
}

// verifyTheEnd: nothing is left of what ended.
func verifyTheEnd(t *testing.T, s *server, k *killer) {
	t.Helper()
	// An upload that broke off is kept for an hour, in which nothing tells it from
	// one that goes on.
	k.kill(t)
	db, err := sql.Open("sqlite", s.db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "UPDATE uploads SET touched = touched - 2 * 3600000 WHERE task_id IS NULL"); err != nil {
		t.Error(err)
	}
	_ = db.Close()
	s.start(t)
	awaitSweep(t, s)
	k.kill(t)
	checkFile(t, s.db)
	db = openFile(t, s.db)
	defer db.Close()
	for _, query := range []string{
		"SELECT count(*) FROM staged", "SELECT count(*) FROM uploads", "SELECT count(*) FROM upload_chunks", "SELECT count(*) FROM garbage",
		"SELECT count(*) FROM tasks WHERE status IS NULL",
		"SELECT count(*) FROM river_job WHERE state NOT IN ('completed', 'cancelled', 'discarded') OR finalized_at IS NULL",
		"SELECT count(*) FROM runs WHERE active IS NOT NULL OR upload IS NOT NULL AND upload <> x''",
		`SELECT count(*) FROM sources s WHERE accounts <> (SELECT count(*) FROM accounts WHERE source = s.seq)
			OR entitlements <> (SELECT count(*) FROM entitlements WHERE source = s.seq)`,
		"SELECT count(*) FROM accounts WHERE source NOT IN (SELECT seq FROM sources)",
		"SELECT count(*) FROM changes WHERE task_id NOT IN (SELECT id FROM tasks)",
	} {
		wantNone(t, db, query)
	}
}

// awaitSweep waits until everything is swept that nothing needs.
func awaitSweep(t *testing.T, s *server) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		db := openFile(t, s.db)
		var left int
		err := db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM garbage) + (SELECT count(*) FROM uploads)
			+ EXISTS (SELECT 1 FROM staged)`).Scan(&left)
		_ = db.Close()
		if err == nil && left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d pieces are left unswept, %v", left, err)
			return
		}
		pause(50 * time.Millisecond)
	}
}
