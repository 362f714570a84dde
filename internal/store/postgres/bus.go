package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
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
	// changesPause is how long nobody is told again that something has changed.
	changesPause = 100 * time.Millisecond
	// listenPause is how long a listener waits before it connects again.
	listenPause = 500 * time.Millisecond
)

// bus tells the other processes on a schema which tasks have ended, and that some
// have changed. It speaks behind the transactions, not in them: the server lets one
// transaction that notifies commit at a time.
type bus struct {
	channel string // of tasks that have ended
	waiting chan task.ID
	// changes is the channel that says that some have changed, changed holds a token
	// while that is to be told, and name is who tells it.
	changes string
	changed chan struct{}
	name    string
	closing chan struct{}
	said    sync.WaitGroup
}

func (s *Store) openBus(schema string) {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(schema)) // never fails
	s.bus = bus{
		channel: fmt.Sprintf("stint_ended_%x", hash.Sum64()), waiting: make(chan task.ID, announceQueue),
		changes: fmt.Sprintf("stint_changed_%x", hash.Sum64()), changed: make(chan struct{}, 1), name: rand.Text(),
		closing: make(chan struct{}),
	}
	s.bus.said.Go(s.announceAll)
	s.bus.said.Go(s.announceChanges)
}

// close returns when what waits has been announced. It is called once.
func (b *bus) close() {
	close(b.closing)
	b.said.Wait()
}

// Announce tells the other nodes that a task has ended. It returns at once; where
// very many wait to be told, it tells nobody.
func (s *Store) Announce(id task.ID) {
	select {
	case s.bus.waiting <- id:
	default:
	}
}

// changed tells this process, and soon the others, that a task has changed.
func (s *Store) changed(steps []task.Step) {
	if s.onChange != nil {
		s.onChange(steps)
	}
	select {
	case s.bus.changed <- struct{}{}:
	default: // it is about to be told
	}
}

// announceChanges tells of many changes at once: each notification costs every node.
func (s *Store) announceChanges() {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-s.bus.closing:
			return
		}
		select {
		case <-s.bus.changed:
			s.notify(s.bus.changes, s.bus.name)
			pause.Reset(changesPause)
		case <-s.bus.closing:
			return
		}
	}
}

func (s *Store) announceAll() {
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
	s.notify(s.bus.channel, strings.Join(ids, " "))
}

func (s *Store) notify(channel, text string) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	_, _ = s.pool.Exec(ctx, "SELECT pg_notify($1, $2)", channel, text)
}

// Listen calls heard for each task that a node announces, this one included, changed
// where another has changed some, and missed after each time in which it could not
// hear, until ctx ends.
func (s *Store) Listen(ctx context.Context, heard func(id task.ID), changed, missed func()) {
	for ctx.Err() == nil {
		_ = s.listen(ctx, heard, changed, missed) // whoever writes or reads says what is wrong
		pause := time.NewTimer(listenPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

func (s *Store) listen(ctx context.Context, heard func(id task.ID), changed, missed func()) error {
	config := s.pool.Config().ConnConfig.Copy()
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: c.Conn()}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+s.bus.channel+"; LISTEN "+s.bus.changes); err != nil {
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
		if said.Channel == s.bus.changes {
			if said.Payload != s.bus.name {
				changed()
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
