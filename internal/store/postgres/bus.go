package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"stint/internal/task"
)

const (
	// announceMany is how many tasks one notification names at most: it holds some
	// 8,000 bytes.
	announceMany = 200
	// announceQueue is how many wait to be announced; what comes then is not.
	announceQueue = 4096
	// listenSilence is how long nothing is heard until the connection is tried.
	listenSilence = 5 * time.Second
	// listenPause is how long a listener waits before it connects again.
	listenPause = 500 * time.Millisecond
)

// bus tells the other processes on a schema which tasks have ended. It speaks behind
// the transactions, not in them: the server lets one transaction that notifies
// commit at a time.
type bus struct {
	channel string
	waiting chan task.ID
	closing chan struct{}
	done    chan struct{}
}

func (s *Store) openBus(schema string) {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(schema)) // never fails
	s.bus = bus{
		channel: fmt.Sprintf("stint_ended_%x", hash.Sum64()),
		waiting: make(chan task.ID, announceQueue), closing: make(chan struct{}), done: make(chan struct{}),
	}
	go s.announceAll()
}

// close returns when what waits has been announced. It is called once.
func (b *bus) close() {
	close(b.closing)
	<-b.done
}

// Announce tells the other nodes that a task has ended. It returns at once; where
// very many wait to be told, it tells nobody.
func (s *Store) Announce(id task.ID) {
	select {
	case s.bus.waiting <- id:
	default:
	}
}

func (s *Store) announceAll() {
	defer close(s.bus.done)
	for {
		select {
		case id := <-s.bus.waiting:
			s.announce(id)
		case <-s.bus.closing:
			select {
			case id := <-s.bus.waiting:
				s.announce(id)
			default:
				return
			}
		}
	}
}

// announce tells of a task and of those that wait behind it. What goes wrong is lost:
// it makes others look sooner than they would.
func (s *Store) announce(first task.ID) {
	ids := []string{string(first)}
	for len(ids) < announceMany {
		select {
		case id := <-s.bus.waiting:
			ids = append(ids, string(id))
			continue
		default:
		}
		break
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	_, _ = s.pool.Exec(ctx, "SELECT pg_notify($1, $2)", s.bus.channel, strings.Join(ids, " "))
}

// Listen calls heard for each task that a node announces, this one included, and
// missed after each time in which it could not hear, until ctx ends.
func (s *Store) Listen(ctx context.Context, heard func(id task.ID), missed func()) {
	for ctx.Err() == nil {
		_ = s.listen(ctx, heard, missed) // whoever writes or reads says what is wrong
		pause := time.NewTimer(listenPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

func (s *Store) listen(ctx context.Context, heard func(id task.ID), missed func()) error {
	config := s.pool.Config().ConnConfig.Copy()
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: c.Conn()}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+s.bus.channel); err != nil {
		return err
	}
	missed()
	for {
		waiting, cancel := context.WithTimeout(ctx, listenSilence)
		said, err := conn.WaitForNotification(waiting)
		quiet := waiting.Err() != nil
		cancel()
		if err != nil {
			if !quiet || ctx.Err() != nil {
				return err
			}
			if err := tryConn(ctx, conn); err != nil {
				return err
			}
			continue
		}
		for id := range strings.FieldsSeq(said.Payload) {
			heard(task.ID(id))
		}
	}
}

// tryConn tells whether the other end is still there.
func tryConn(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return conn.Ping(ctx)
}
