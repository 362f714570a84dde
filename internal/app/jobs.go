package app

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
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
}

// setUpJobs makes the queue, in the same database, and has it follow every task.
func (a *App) setUpJobs(ctx context.Context, executor engine.Executor, now func() time.Time) error {
	id := newNodeID()
	switch s := a.store.(type) {
	case *sqlite.Store:
		j, err := engine.NewJobs(ctx, jobOptions[*sql.Tx](a, riversqlite.New(s.DB()), id, executor, now))
		if err != nil {
			return err
		}
		s.OnTask(j.Follow)
		a.jobs = j
	case *postgres.Store:
		cluster, err := engine.JoinCluster(ctx, engine.ClusterOptions{
			Store: s, ID: id, Role: string(a.cfg.Role), Now: now, Log: a.log,
		})
		if err != nil {
			return err
		}
		a.cluster, a.members = cluster, cluster
		o := jobOptions[pgx.Tx](a, riverpgxv5.New(s.Pool()), id, executor, now)
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
		a.jobs = j
		a.once = append(a.once, engine.NewFold(s, a.log))
		a.loops = append(a.loops, engine.NewListener(a.tasks, a.log))
	}
	return nil
}

// jobOptions are those that no database changes.
func jobOptions[TTx any](
	a *App, driver riverdriver.Driver[TTx], id string, executor engine.Executor, now func() time.Time,
) engine.JobOptions[TTx] {
	return engine.JobOptions[TTx]{
		Driver: driver, Tasks: a.tasks, Store: a.store, Executor: executor, Workers: a.cfg.Workers, Poll: time.Duration(a.cfg.Poll),
		ID: id, Members: a.members, Idle: !a.cfg.Role.RunsTasks(), Log: a.log, Now: now,
	}
}

func newNodeID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
