package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/task"
)

func open(tb testing.TB, url string) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), Options{URL: url, MaxConns: minConns})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func execute(tb testing.TB, url, script string) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(tb.Context()) }()
	if _, err := conn.Exec(tb.Context(), script); err != nil {
		tb.Fatalf("%v\n%s", err, script)
	}
}

// create stores the n-th task.
func create(ctx context.Context, s *Store, n int) error {
	tk := busy(n + 1)[n]
	_, _, err := s.Create(ctx, task.Change{Task: tk, Changed: true}, task.IdempotencyKey{}, audit.Entry{Object: string(tk.ID)})
	return err
}

func wantUnavailable(tb testing.TB, doing string, err error) {
	tb.Helper()
	if e, ok := errors.AsType[*task.Error](err); !ok || e.Kind != task.Unavailable || e.RetryAfter <= 0 {
		tb.Errorf("%s: %v, want Unavailable with a time to retry after", doing, err)
	}
}

func wantTotal(tb testing.TB, s *Store, want int64) {
	tb.Helper()
	_, n, err := s.List(tb.Context(), query.Page{Count: true}, time.Time{})
	if err != nil || n != want {
		tb.Errorf("%d tasks, %v; want %d", n, err, want)
	}
}

// TestServerAway has the server crash and come back: the store says so meanwhile,
// and goes on by itself.
func TestServerAway(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	s := open(t, server.URL(t))
	if err := create(t.Context(), s, 0); err != nil {
		t.Fatal(err)
	}
	server.Stop(t)
	id := busy(1)[0].ID
	for range 3 { // those that find a dead connection, and those that find none
		_, err := s.Get(t.Context(), id, time.Time{})
		wantUnavailable(t, "get", err)
		_, _, err = s.List(t.Context(), query.Page{Limit: 1, Sort: []query.Sorter{{Field: query.FieldCreated}}}, time.Time{})
		wantUnavailable(t, "list", err)
		wantUnavailable(t, "create", create(t.Context(), s, 1))
		wantUnavailable(t, "ping", s.Ping(t.Context()))
	}
	server.Start(t)
	if err := create(t.Context(), s, 1); err != nil {
		t.Errorf("create afterwards: %v", err)
	}
	if _, err := s.Get(t.Context(), id, time.Time{}); err != nil {
		t.Errorf("get afterwards: %v", err)
	}
	wantTotal(t, s, 2)
}

// killAll ends all connections of the store.
func killAll(tb testing.TB, s *Store) {
	tb.Helper()
	config := s.pool.Config().ConnConfig.Copy()
	config.RuntimeParams["application_name"] = "killer"
	conn, err := pgx.ConnectConfig(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(tb.Context()) }()
	// Only those of this test's schema, and until they are gone.
	_, err = conn.Exec(tb.Context(), "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1", appName(s))
	if err != nil {
		tb.Fatal(err)
	}
}

func appName(s *Store) string { return s.pool.Config().ConnConfig.RuntimeParams["application_name"] }

// TestConnectionsLost loses connections that wait to be used, and some in the
// middle of a write and of a read: nobody sees it.
func TestConnectionsLost(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.URL(t)+"&application_name=lost")
	if err := create(t.Context(), s, 0); err != nil {
		t.Fatal(err)
	}
	id := busy(1)[0].ID
	for range 3 {
		killAll(t, s)
		if _, err := s.Get(t.Context(), id, time.Time{}); err != nil {
			t.Errorf("get on a dead connection: %v", err)
		}
		killAll(t, s)
		wantTotal(t, s, 1)
		killAll(t, s)
		_, err := s.Update(t.Context(), id, time.Time{}, func(tk task.Task) (audit.Change, error) {
			return audit.Change{Change: task.Change{Task: tk}}, nil
		})
		if err != nil {
			t.Errorf("update on a dead connection: %v", err)
		}
	}
	calls := 0
	_, err := s.Update(t.Context(), id, time.Time{}, func(tk task.Task) (audit.Change, error) {
		if calls++; calls == 1 {
			killAll(t, s)
		}
		tk.Interruptions++
		return audit.Change{Change: task.Change{Task: tk, Changed: true}}, nil
	})
	if err != nil || calls != 2 {
		t.Errorf("the connection was lost in a write: %v after %d runs", err, calls)
	}
	err = s.do(t.Context(), "look", func(tx *txn) error {
		tk, err := tx.load(id)
		if tk.Interruptions != 1 {
			t.Errorf("it was written %d times", tk.Interruptions)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	// What a read has given cannot be taken back.
	load(t, s, busy(2 * exportBatch)[1:])
	var once sync.Once
	err = s.Export(t.Context(), func(task.Row) error {
		once.Do(func() { killAll(t, s) })
		return nil
	})
	wantUnavailable(t, "export", err)
}

// TestCommitUnknown loses the connection in the commit: it is not tried again, for
// it may have been done.
func TestCommitUnknown(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s := open(t, url)
	execute(t, url, `CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER die AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();`)
	calls := 0
	s.OnTask(func(context.Context, pgx.Tx, *task.Task, *task.Task) error { calls++; return nil })
	err := create(t.Context(), s, 0)
	wantUnavailable(t, "create", err)
	if e, ok := errors.AsType[*task.Error](err); !ok || !e.Unknown {
		t.Errorf("it is not said that nobody knows: %v", err)
	}
	if calls != 1 || !errors.Is(err, errUnknown) {
		t.Errorf("it was tried %d times: %v", calls, err)
	}
}

// fails makes every write of a task end with a SQLSTATE, the first n times.
func fails(tb testing.TB, url, state string, n string) {
	tb.Helper()
	execute(tb, url, strings.NewReplacer("@state", state, "@n", n).Replace(`CREATE SEQUENCE tries;
		CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('tries') <= @n THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '@state'; END IF;
			RETURN NEW; END $$;
		CREATE TRIGGER fail BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION fail()`))
}

// TestTriedAgain has the server undo writes because of others: they are tried again,
// but not for ever.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	for _, state := range []string{stateSerialization, stateDeadlock} {
		url := pgtest.URL(t)
		s := open(t, url)
		fails(t, url, state, "3")
		if err := create(t.Context(), s, 0); err != nil {
			t.Errorf("%s: %v", state, err)
		}
		wantTotal(t, s, 1)
		url = pgtest.URL(t)
		s = open(t, url)
		fails(t, url, state, "1000")
		wantUnavailable(t, state, create(t.Context(), s, 0))
	}
}

// TestStates holds the errors of the server that are not tried again.
func TestStates(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]task.ErrorKind{
		stateDiskFull: task.Unavailable, "53200": task.Unavailable, "57P03": task.Unavailable, "58030": task.Unavailable,
		stateReadOnly: task.Unavailable, "22012": task.Internal, stateUniqueViolation: task.Internal,
	} {
		url := pgtest.URL(t)
		s := open(t, url)
		fails(t, url, state, "1")
		if err := create(t.Context(), s, 0); task.KindOf(err) != want {
			t.Errorf("%s: %v, want kind %d", state, err, want)
		} else if strings.Contains(err.(*task.Error).Msg, "purpose") { //nolint:errorlint // the outermost
			t.Errorf("%s: what the server said is in the message: %q", state, err)
		}
	}
}

// TestDeadlock makes two writes wait for each other.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	ids := []task.ID{busy(2)[0].ID, busy(2)[1].ID}
	load(t, s, busy(2))
	var met, wg sync.WaitGroup
	met.Add(2)
	var mu sync.Mutex
	runs := 0
	for i := range 2 {
		wg.Go(func() {
			var once sync.Once
			err := s.do(t.Context(), "meet", func(tx *txn) error {
				mu.Lock()
				runs++
				mu.Unlock()
				if _, err := tx.load(ids[i]); err != nil {
					return err
				}
				once.Do(func() { met.Done(); met.Wait() })
				_, err := tx.load(ids[1-i])
				return err
			})
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if runs < 3 {
		t.Errorf("%d runs: they did not meet", runs)
	}
}

// TestReadOnlyServer reads from a server that takes no writes, as a standby.
func TestReadOnlyServer(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	if err := create(t.Context(), open(t, url), 0); err != nil {
		t.Fatal(err)
	}
	s := open(t, url+"&default_transaction_read_only=on")
	wantTotal(t, s, 1)
	wantUnavailable(t, "create", create(t.Context(), s, 1))
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s := open(t, url)
	execute(t, url, `CREATE ROLE narrow LOGIN CONNECTION LIMIT 2; GRANT ALL ON SCHEMA `+schemaOf(t, s)+` TO narrow;
		GRANT ALL ON ALL TABLES IN SCHEMA `+schemaOf(t, s)+` TO narrow`)
	few := open(t, strings.Replace(url, "postgres@", "narrow@", 1))
	err := few.readOne(t.Context(), "first", func(reading) error {
		return few.readOne(t.Context(), "second", func(reading) error { return few.Ping(t.Context()) })
	})
	wantUnavailable(t, "the third connection", err)
	if err := few.Ping(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func schemaOf(tb testing.TB, s *Store) string {
	tb.Helper()
	var schema string
	if err := s.pool.QueryRow(tb.Context(), "SELECT current_schema()").Scan(&schema); err != nil {
		tb.Fatal(err)
	}
	return schema
}

// TestSlowList ends a list that takes too long.
func TestSlowList(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	err := s.readList(t.Context(), "list", func(r reading) error {
		if _, err := r.conn.Exec(r.ctx, "SET LOCAL statement_timeout = 10"); err != nil {
			return err
		}
		var nothing string
		return r.queryRow("SELECT pg_sleep(60)::text").Scan(&nothing)
	})
	wantUnavailable(t, "list", err)
	// Those who give up get their own error, and their statement ends.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err = s.readList(ctx, "list", func(r reading) error {
		var nothing string
		return r.queryRow("SELECT pg_sleep(60)::text").Scan(&nothing)
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("given up: %v", err)
	}
	var running int
	err = s.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()
		AND datname = current_database() AND application_name = 'stint'`).Scan(&running)
	if err != nil || running > 0 {
		t.Errorf("%d statements go on, %v", running, err)
	}
}

// TestAWriteThatStandsStill: others do not wait for a process that is stopped, or
// cut off, in the middle of a write; when it goes on, it sees what they have done.
func TestAWriteThatStandsStill(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s, still := open(t, url), open(t, url+"&idle_in_transaction_session_timeout=200")
	if err := create(t.Context(), s, 0); err != nil {
		t.Fatal(err)
	}
	id := busy(1)[0].ID
	var seen []int
	_, err := still.Update(t.Context(), id, time.Time{}, func(tk task.Task) (audit.Change, error) {
		seen = append(seen, tk.Attempt)
		if len(seen) > 1 {
			return audit.Change{Change: task.Change{Task: tk}}, nil
		}
		_, err := s.Update(t.Context(), id, time.Time{}, func(tk task.Task) (audit.Change, error) {
			tk.Attempt = 7
			return audit.Change{Change: task.Change{Task: tk, Changed: true}}, nil
		})
		if err != nil {
			t.Errorf("another write: %v", err)
		}
		tk.Attempt = 5
		return audit.Change{Change: task.Change{Task: tk, Changed: true}}, nil
	})
	if err != nil || len(seen) != 2 || seen[1] != 7 {
		t.Errorf("the write that stood still saw the attempts %v: %v", seen, err)
	}
	row, err := s.Get(t.Context(), id, time.Time{})
	if err != nil || row.Attempt != 7 {
		t.Errorf("the attempt is %d, %v; want 7", row.Attempt, err)
	}
}

// TestAPatientImport: a file that comes slowly is no process that stands still.
func TestAPatientImport(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.URL(t)+"&idle_in_transaction_session_timeout=100")
	tasks := busy(2 * importBatch)
	_, err := s.Import(t.Context(), func(yield func(task.Task, error) bool) {
		for i, tk := range tasks {
			if i == importBatch {
				time.Sleep(300 * time.Millisecond) // longer than a write may stand still
			}
			if !yield(tk, nil) {
				return
			}
		}
	}, false, time.Time{}, func(task.ImportResult) audit.Entry { return audit.Entry{} })
	if err != nil {
		t.Error(err)
	}
	wantTotal(t, s, int64(len(tasks)))
}
