package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// forgetNode is how long a node that has not left is remembered, for people who
// look for it.
const forgetNode = time.Hour

// A node's beats begin anew where it was forgotten: with a number that it had not.
const (
	beatSQL = `INSERT INTO nodes AS n (id, role, beat) VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
		ON CONFLICT (id) DO UPDATE SET beat = n.beat + 1, seen = clock_timestamp()`
	leadSQL = `INSERT INTO leads AS l (one, holder, until) VALUES (true, $1, clock_timestamp() + $2)
		ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until
		WHERE l.holder = excluded.holder OR l.until < clock_timestamp()`
	forgetSQL   = "DELETE FROM nodes WHERE seen < clock_timestamp() - $1::interval"
	nodesSQL    = "SELECT id, beat, clock_timestamp() FROM nodes"
	leaveSQL    = "DELETE FROM nodes WHERE id = $1"
	giveLeadSQL = "DELETE FROM leads WHERE holder = $1"
)

// Beat notes that a node lives, and gives it the lead for as long as lead says where
// nobody else has it. It returns a number for each node, which differs after each of
// its beats, whether this one leads, and the server's clock.
func (s *Store) Beat(
	ctx context.Context, id, role string, lead time.Duration,
) (beats map[string]int64, leads bool, clock time.Time, err error) {
	err = s.withConn(ctx, "beat", func(conn *pgx.Conn) error {
		// Each statement commits by itself: a row that another node waits for is locked
		// for no longer than it takes.
		if _, err := conn.Exec(ctx, beatSQL, id, role); err != nil {
			return err
		}
		tag, err := conn.Exec(ctx, leadSQL, id, lead)
		if err != nil {
			return err
		}
		if leads = tag.RowsAffected() > 0; leads {
			if _, err := conn.Exec(ctx, forgetSQL, forgetNode); err != nil {
				return err
			}
		}
		beats = map[string]int64{}
		rows, err := conn.Query(ctx, nodesSQL)
		if err != nil {
			return err
		}
		return scanEach(rows, func(row rowScanner) error {
			var node string
			var beat int64
			err := row.Scan(&node, &beat, &clock)
			beats[node] = beat
			return err
		})
	})
	return beats, leads, clock, err
}

// Leave forgets a node, and gives up its lead.
func (s *Store) Leave(ctx context.Context, id string) error {
	return s.withConn(ctx, "leave", func(conn *pgx.Conn) error {
		for _, statement := range []string{giveLeadSQL, leaveSQL} {
			if _, err := conn.Exec(ctx, statement, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// OneAtATime runs fn while no other process on the same schema runs one.
func (s *Store) OneAtATime(ctx context.Context, fn func() error) error {
	var err error
	waited := s.withConn(ctx, "wait for the turn", func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1, hashtext(current_schema()))", lockClass+1); err != nil {
			return err
		}
		err = fn()
		if _, unlock := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock_all()"); unlock != nil {
			_ = conn.Close(context.WithoutCancel(ctx)) // which lets go of it, too
		}
		return nil
	})
	return errors.Join(waited, err)
}

// withConn runs fn with a connection, outside of any transaction.
func (s *Store) withConn(ctx context.Context, doing string, fn func(*pgx.Conn) error) error {
	if err := s.use.enter(); err != nil {
		return interpret(doing, err)
	}
	defer s.use.leave()
	conn, err := s.acquire(ctx)
	if err != nil {
		return interpret(doing, err)
	}
	defer conn.Release()
	return interpret(doing, lost(conn.Conn(), fn(conn.Conn())))
}
