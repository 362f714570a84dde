package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"stint/internal/store/tally"
)

const (
	// maxUnfolded is how many changes of counts a process leaves before it folds:
	// what a count has to sum stays small, whether a loop folds or not.
	maxUnfolded = 4000
	// foldBatch is how many changes are folded in one transaction.
	foldBatch = 10_000
)

// counts knows how many changes this process has left since it last folded.
type counts struct{ unfolded atomic.Int64 }

// tallyValue returns a value as it is stored: one that is too long for an index as
// its hash, behind a byte that no text holds.
func tallyValue(v string) []byte {
	if len(v) <= maxTallyValue {
		return []byte(v)
	}
	sum := sha256.Sum256([]byte(v))
	return append([]byte{0xff}, sum[:]...)
}

const maxTallyValue = 1024

const addTalliesSQL = `INSERT INTO tally_changes (dimension, value, bucket, n)
	SELECT * FROM unnest($1::integer[], $2::bytea[], $3::bigint[], $4::bigint[])`

// addTallies stores the changed counts, those of the lowest level: they tell the
// others. It returns how many there are.
func (t *txn) addTallies() (int, error) {
	var dimensions []int32
	var values [][]byte
	var buckets, ns []int64
	for k, n := range t.deltas {
		if k.Level > 0 {
			continue
		}
		dimensions, values = append(dimensions, int32(k.Dimension)), append(values, tallyValue(k.Value)) //nolint:gosec // there are seven
		buckets, ns = append(buckets, k.Bucket), append(ns, n)
	}
	if len(ns) == 0 {
		return 0, nil
	}
	return len(ns), t.queue(addTalliesSQL, dimensions, values, buckets, ns)
}

// counted folds when this process has left enough. What goes wrong is not the
// write's, which is committed: a later one tries again.
func (s *Store) counted(ctx context.Context, added int) {
	if s.counts.unfolded.Add(int64(added)) < maxUnfolded {
		return
	}
	s.counts.unfolded.Store(0)
	for more := true; more; {
		var err error
		if more, err = s.FoldTallies(context.WithoutCancel(ctx)); err != nil {
			return
		}
	}
}

// The changes of one transaction are seen together, so that the sum of both tables
// is right at every moment.
const (
	foldTurnSQL = "SELECT true FROM tally_fold FOR UPDATE SKIP LOCKED"
	foldSQL     = `WITH gone AS (
		DELETE FROM tally_changes WHERE seq IN (SELECT seq FROM tally_changes ORDER BY seq LIMIT $1)
		RETURNING dimension, value, bucket, n
	), added AS (
		INSERT INTO tallies AS t (dimension, value, level, bucket, n)
		SELECT dimension, value, level, bucket >> (level * $2), sum(n) FROM gone, generate_series(0, $3) level
		GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0
		ON CONFLICT (dimension, value, level, bucket) DO UPDATE SET n = t.n + excluded.n RETURNING n
	) SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM added WHERE n = 0)`
	foldZeroSQL = "DELETE FROM tallies WHERE n = 0"
)

// FoldTallies adds some of the changes of counts to the counts, and returns whether
// there may be more. Several nodes may call it at once: one does it, the others have
// nothing to do.
func (s *Store) FoldTallies(ctx context.Context) (more bool, err error) {
	err = s.do(ctx, "fold counts", func(t *txn) error {
		more = false
		var mine bool
		if err := t.queryRow(foldTurnSQL).Scan(&mine); err != nil {
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			return err
		}
		var taken, zero int
		err := t.queryRow(foldSQL, foldBatch, tally.Shift(1)-tally.Shift(0), tally.Levels-1).Scan(&taken, &zero)
		if err != nil {
			return fmt.Errorf("fold: %w", err)
		}
		more = taken == foldBatch
		if zero == 0 {
			return nil
		}
		return t.exec(foldZeroSQL)
	})
	return more, err
}
