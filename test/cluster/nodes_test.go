package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"stint/client"
	"stint/internal/store/postgres/pgtest"
	"stint/test/harness"
)

var binary string // the program under test, built once

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &binary)) }

// requestTimeout is how long a client waits for an answer. A database that is away
// is told of within five seconds.
const requestTimeout = 8 * time.Second

// node is one process of the cluster, with its own way to the database.
type node struct {
	number  int
	addr    string
	process *harness.Process
	proxy   *proxy
	client  *client.Client
	log     *os.File

	mu   sync.Mutex
	id   string // in the database
	away bool   // it is to be dead for now
}

// cluster is several nodes on one database.
type cluster struct {
	tb      *judge
	pg      *pgtest.Server
	url     string // of the database, past all proxies
	db      *pgxpool.Pool
	dir     string // of logs
	keyFile string
	nodes   []*node
	http    *http.Client
	journal *journal
	witness *witness

	starting sync.Mutex
	healing  atomic.Bool // nothing is hurt any more
	watched  sync.WaitGroup
}

// newCluster starts PostgreSQL and as many nodes as there are lists of flags. Nothing
// is ready before startAll.
func newCluster(t *testing.T, seed uint64, flags ...[]string) *cluster {
	t.Helper()
	c := &cluster{pg: pgtest.New(t), journal: newJournal()}
	var err error
	if c.dir, err = os.MkdirTemp("", "stint-cluster-"); err != nil { //nolint:usetesting // it stays where a test fails
		t.Fatal(err)
	}
	c.tb = &judge{TB: t, c: c, seed: seed}
	c.url, c.keyFile = c.pg.URL(t), filepath.Join(c.dir, "stint.key")
	if c.db, err = pgxpool.New(t.Context(), c.url); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	c.witness = newWitness(c, transport)
	c.http = &http.Client{Transport: c.witness}
	for i := range flags {
		c.nodes = append(c.nodes, c.newNode(t, i, flags[i]))
	}
	t.Cleanup(func() {
		c.healing.Store(true)
		for _, n := range c.nodes {
			n.process.Kill()
			_ = n.log.Close()
		}
		c.watched.Wait()
		transport.CloseIdleConnections()
		c.db.Close()
		c.keepLogs(t)
	})
	return c
}

// keepLogs keeps the logs of a test that failed.
func (c *cluster) keepLogs(t *testing.T) {
	t.Helper()
	if !t.Failed() && os.Getenv(keepName) == "" {
		_ = os.RemoveAll(c.dir)
		return
	}
	said, err := c.pg.Log()
	err = errors.Join(err, os.WriteFile(filepath.Join(c.dir, "postgres.log"), said, 0o600),
		os.WriteFile(filepath.Join(c.dir, "schedule.log"), []byte(c.journal.String()), 0o600))
	t.Logf("the logs of the nodes, of PostgreSQL and of the schedule are in %s (%v)", c.dir, err)
}

func (c *cluster) newNode(t *testing.T, number int, flags []string) *node {
	t.Helper()
	n := &node{number: number, addr: harness.FreeAddress(t), proxy: newProxy(t, "unix", c.pg.Socket())}
	db, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"search_path": {db.Query().Get("search_path")}, "sslmode": {"disable"}}
	dsn := "postgres://postgres@" + n.proxy.addr() + "/postgres?" + q.Encode()
	if n.log, err = os.OpenFile(filepath.Join(c.dir, fmt.Sprintf("node-%d.log", number)), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"serve", "--db", dsn, "--key-file", c.keyFile, "--listen", n.addr, "--insecure-no-auth", "--log-level", "info"}
	n.process = &harness.Process{Path: binary, Ops: harness.FreeAddress(t), Log: n.log}
	n.process.Args = append(append(args, "--ops-listen", n.process.Ops), flags...)
	if n.client, err = client.New("http://"+n.addr, client.Options{HTTPClient: c.http, RetryFor: -1, Timeout: requestTimeout}); err != nil {
		t.Fatal(err)
	}
	return n
}

// startAll starts the nodes and returns once all are ready.
func (c *cluster) startAll(t *testing.T) {
	t.Helper()
	for _, n := range c.nodes {
		c.start(n)
		c.watched.Go(func() { c.watch(n) })
	}
	for _, n := range c.nodes {
		if err := n.process.AwaitReady(t.Context(), time.Minute); err != nil {
			t.Fatalf("node %d: %v", n.number, err)
		}
	}
}

// start starts a node, and finds out what the database calls it.
func (c *cluster) start(n *node) {
	c.starting.Lock() // so that a new node in the database is this one
	defer c.starting.Unlock()
	before, err := c.nodeIDs()
	n.mu.Lock()
	n.id, n.away = "", false
	_, _ = fmt.Fprintf(n.log, "---- start at %s\n", time.Now().UTC().Format("15:04:05.000"))
	fault := n.process.Start()
	n.mu.Unlock()
	if fault != nil {
		c.tb.Errorf("node %d: %v", n.number, fault)
		return
	}
	c.journal.note("", "node %d is started", n.number)
	if err != nil {
		return
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && n.alive(); harness.Pause(20 * time.Millisecond) {
		now, err := c.nodeIDs()
		if err != nil {
			return
		}
		for id := range now {
			if !before[id] {
				n.mu.Lock()
				n.id = id
				n.mu.Unlock()
				c.journal.note("", "node %d is %s", n.number, id)
				return
			}
		}
	}
}

// alive tells whether a node's process is there.
func (n *node) alive() bool {
	exited := n.process.Exited()
	if exited == nil {
		return false
	}
	select {
	case <-exited:
		return false
	default:
		return true
	}
}

// nodeIDs are the nodes that the database knows, dead ones included.
func (c *cluster) nodeIDs() (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	rows, err := c.db.Query(ctx, "SELECT id FROM nodes")
	if err != nil {
		return map[string]bool{}, ignoreMissing(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	known := map[string]bool{}
	for _, id := range ids {
		known[id] = true
	}
	return known, ignoreMissing(err)
}

// ignoreMissing: before the first node has made its tables there are none.
func ignoreMissing(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42P01" {
		return nil
	}
	return err
}

// watch starts a node again that ended by itself, as whoever runs it would: one that
// is started while the database is away may do so. A panic is another matter.
func (c *cluster) watch(n *node) {
	for !c.healing.Load() {
		harness.Pause(200 * time.Millisecond)
		n.mu.Lock()
		away := n.away
		n.mu.Unlock()
		if away {
			continue
		}
		code, ended := n.process.Reap()
		if !ended {
			continue
		}
		c.journal.note("", "node %d ended by itself: exit code %d", n.number, code)
		if strings.Contains(n.last(), "\ngoroutine ") {
			c.tb.Errorf("node %d ended in a panic: see its log", n.number)
		}
		harness.Pause(500 * time.Millisecond)
		c.start(n)
	}
}

// last returns what a node has logged since its last start.
func (n *node) last() string {
	text, err := os.ReadFile(n.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, bytes.LastIndex(text, []byte("---- start"))):])
}

// kill ends a node with SIGKILL.
func (c *cluster) kill(n *node) {
	n.mu.Lock()
	n.away = true
	n.mu.Unlock()
	n.process.Kill()
	c.journal.note("", "node %d is killed", n.number)
}

// stop holds a node still, and cont lets it go on.
func (c *cluster) stop(n *node) {
	n.process.Signal(syscall.SIGSTOP)
	c.journal.note("", "node %d is stopped", n.number)
}

func (c *cluster) cont(n *node) {
	n.process.Signal(syscall.SIGCONT)
	c.journal.note("", "node %d goes on", n.number)
}

// any returns one of the nodes, whatever its state.
func (c *cluster) any(random *rand.Rand) *node { return c.nodes[random.IntN(len(c.nodes))] }

// other returns one of the nodes but one.
func (c *cluster) other(random *rand.Rand, not *node) *node {
	if len(c.nodes) == 1 {
		return not
	}
	return c.nodes[(not.number+1+random.IntN(len(c.nodes)-1))%len(c.nodes)]
}

// nodeID returns what the database calls a node; empty where that is not known.
func (n *node) nodeID() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.id
}
