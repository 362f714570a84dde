package engine

import (
	"context"
	"log/slog"
	"time"
)

const foldInterval = time.Second

// Folder is what Fold needs of storage.
type Folder interface {
	// FoldTallies adds some of the changes of counts to the counts, and returns whether
	// there may be more.
	FoldTallies(ctx context.Context) (bool, error)
}

// Fold keeps what a count has to sum small.
type Fold struct {
	loop
	store Folder
	log   *slog.Logger
}

// NewFold returns the loop; Start and Stop begin and end it.
func NewFold(store Folder, log *slog.Logger) *Fold {
	f := &Fold{store: store, log: log}
	f.loop = loop{interval: foldInterval, run: f.runOnce}
	return f
}

func (f *Fold) runOnce(ctx context.Context) {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = f.store.FoldTallies(ctx); err != nil {
			if ctx.Err() == nil {
				f.log.WarnContext(ctx, "cannot add up the counts", slog.Any("error", err))
			}
			return
		}
	}
}
