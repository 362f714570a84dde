package app

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"stint/internal/engine"
	"stint/internal/store/postgres"
	"stint/internal/store/sqlite"
)

// jobs is the queue, whatever its transactions are.
type jobs interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Working() int
}

// setUpJobs makes the queue, in the same database, and has it follow every task.
func (a *App) setUpJobs(ctx context.Context, executor engine.Executor, now func() time.Time) error {
	a.node = newNodeID()
	switch s := a.store.(type) {
	case *sqlite.Store:
		j, err := engine.NewJobs(ctx, jobOptions[*sql.Tx](a, riversqlite.New(s.DB()), executor, now))
		if err != nil {
			return err
		}
		s.OnTask(j.Follow)
		s.OnDelivery(j.FollowDelivery)
		a.jobs = j
	case *postgres.Store:
		cluster, err := engine.JoinCluster(ctx, engine.ClusterOptions{
			Store: s, ID: a.node, Role: string(a.cfg.Role), Now: now, Log: a.log,
		})
		if err != nil {
			return err
		}
		a.cluster, a.members = cluster, cluster
		o := jobOptions[pgx.Tx](a, riverpgxv5.New(s.Pool()), executor, now)
		o.Shared = true
		var j *engine.Jobs[pgx.Tx]
		// The queue's tables are brought up to date, which only one may do at a time.
		err = s.OneAtATime(ctx, func() (err error) {
			j, err = engine.NewJobs(ctx, o)
			return err
		})
		if err != nil {
			return err
		}
		s.OnTask(j.Follow)
		s.OnDelivery(j.FollowDelivery)
		a.jobs = j
		a.once = append(a.once, engine.NewFold(s, a.log))
		a.loops = append(a.loops, engine.NewListener(a.tasks, a.feed, a.log))
	}
	return nil
}

// jobOptions are those that no database changes.
func jobOptions[TTx any](
	a *App, driver riverdriver.Driver[TTx], executor engine.Executor, now func() time.Time,
) engine.JobOptions[TTx] {
	return engine.JobOptions[TTx]{
		Driver: driver, Tasks: a.tasks, Store: a.store, Executor: executor, Webhooks: a.hooks, Workers: a.cfg.Workers, Poll: time.Duration(a.cfg.Poll),
		ID: a.node, Members: a.members, Idle: !a.cfg.Role.RunsTasks(), Log: a.log, Now: now,
	}
}

// newNodeID names this process as nobody was named before, so that people find it.
func newNodeID() string {
	const most = 60          // the queue takes some more
	host, _ := os.Hostname() // without one, the rest is enough
	if len(host) > most {
		host = host[:most]
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:10])
}
