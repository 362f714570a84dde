// Package storetest holds every store against what the rest of the program
// counts on: one suite, run unchanged on each backend.
//
// It owns the cases and the interface that they use. It does not own any
// backend's details: no SQL, no files, no plan. A backend has tests of its own
// for those.
//
// Invariants: each case has a store of its own, empty at the start; what a list
// must hold is worked out by query.Match and plain sorting, never by another
// query of the store.
package storetest

import (
	"context"
	"iter"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/task"
)

// Store is all that the program asks of storage. Errors are *task.Error, or
// wrap the cause of a context that has ended. All methods are safe for
// concurrent use.
type Store interface {
	Records
	Runs
	Audits
	Clients
	Webhooks
	Dumps
	Feeds
	Statistics
	// Get returns a task created after since; else NotFound.
	Get(ctx context.Context, id task.ID, since time.Time) (task.Row, error)
	// List returns a page of the tasks created after since, and how many there
	// are in all where the page asks for it, else -1. Rows past the first megabyte
	// may come without Wire.
	List(ctx context.Context, page query.Page, since time.Time) ([]task.Row, int64, error)
	// Fill reads the Wire of the first of such rows and says of how many; those
	// whose task is gone keep none.
	Fill(ctx context.Context, rows []task.Row) (int, error)
	// History returns a task's events, oldest first; none for an unknown task.
	History(ctx context.Context, id task.ID) ([]task.Event, error)
	// Audit returns the entries about an object, oldest first.
	Audit(ctx context.Context, object string) ([]audit.Entry, error)
	// Create stores a new task, its events and its entry together; or finds the
	// one that the key made before, and says false.
	Create(ctx context.Context, c task.Change, key task.IdempotencyKey, entry audit.Entry) (task.Task, bool, error)
	// Update writes what fn makes of a task: task, events and entry together. A
	// refusal (Change.Err) keeps the events only and is returned.
	Update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error)
	// Overdue returns the tasks whose heartbeat deadline is now or before, the
	// longest overdue first.
	Overdue(ctx context.Context, now time.Time, limit int) ([]task.ID, error)
	// Purge deletes up to limit tasks created at before or earlier, the oldest
	// first, after expire has seen each of them.
	Purge(ctx context.Context, before time.Time, limit int, expire audit.UpdateFunc) (int, error)
	// Setting returns a stored value; the first ever caller's where none was.
	Setting(ctx context.Context, name string, initial []byte) ([]byte, error)
	// Import stores all tasks or none.
	Import(ctx context.Context, tasks iter.Seq2[task.Task, error], replace bool, now time.Time,
		entry func(task.ImportResult) audit.Entry) (task.ImportResult, error)
	// Export calls fn for every task, oldest first.
	Export(ctx context.Context, fn func(task.Row) error) error
	// CreateSource stores a new source, without accounts, and its entry together;
	// Conflict, naming the other's id, where the name is taken.
	CreateSource(ctx context.Context, s source.Source, entry audit.Entry) error
	// Source returns a source; else NotFound.
	Source(ctx context.Context, id task.ID) (source.Source, error)
	// ListSources returns a page of the sources, and how many there are in all
	// where the page asks for it, else -1.
	ListSources(ctx context.Context, page query.Page) ([]source.Source, int64, error)
	// UpdateSource writes what fn makes of a source, except for id, type, creation
	// and counts, which stay, with the entry, if there is one.
	UpdateSource(ctx context.Context, id task.ID, fn func(source.Source) (source.Source, *audit.Entry, error)) (source.Source, error)
	// DeleteSource deletes a source with its accounts and entitlements, and ends
	// what runs on it, with its entry, together. Tasks stay.
	DeleteSource(ctx context.Context, id task.ID, end audit.UpdateFunc,
		entry func(source.Deletion) (audit.Entry, error)) (source.Deletion, error)
	// Ping tells whether the store can be read.
	Ping(ctx context.Context) error
	// Close waits for what is under way. It may be called more than once.
	Close() error
}

// Run runs the suite. newStore returns an empty store; the suite closes it.
func Run(t *testing.T, newStore func(t *testing.T) Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(t trial)
	}{
		{"create keeps every field", testCreateKeepsEveryField},
		{"create keeps values as written", testCreateKeepsValues},
		{"create refuses an id that is taken", testCreateTakenID},
		{"idempotency repeats", testIdempotencyRepeats},
		{"idempotency conflicts", testIdempotencyConflict},
		{"idempotency at once", testIdempotencyAtOnce},
		{"idempotency outlives no task", testIdempotencyOfPurged},
		{"update writes together", testUpdateWritesTogether},
		{"update keeps every field", testUpdateKeepsEveryField},
		{"update refused", testUpdateRefused},
		{"update fails", testUpdateFails},
		{"update without a change", testUpdateUnchanged},
		{"update not found", testUpdateNotFound},
		{"history counts refusals", testHistoryCountsRefusals},
		{"history is bounded", testHistoryIsBounded},
		{"fencing", testFencing},
		{"writers at once", testManyWriters},
		{"writers that fail", testFailingNeighbours},
		{"writers that give up", testCancelledNeighbours},
		{"paging", testPaging},
		{"offsets", testOffsets},
		{"sorts", testSorts},
		{"large rows", testLargeRows},
		{"counts", testCounts},
		{"visibility", testVisibility},
		{"case", testFold},
		{"filters", testFilters},
		{"counts stay exact", testCountsStayExact},
		{"feed", testFeed},
		{"feed of large rows", testFeedOfLargeRows},
		{"feed of many at once", testFeedOfManyAtOnce},
		{"feed of many writers", testFeedOfManyWriters},
		{"feed of another store", testFeedOfAnotherStore},
		{"statistics", testStatistics},
		{"statistics that stop", testEndedStops},
		{"overdue", testOverdue},
		{"purge", testPurge},
		{"purge in batches", testPurgeBatches},
		{"purge expires", testPurgeExpires},
		{"import", testImport},
		{"import all or nothing", testImportAllOrNothing},
		{"import replaces", testImportReplaces},
		{"export", testExport},
		{"settings", testSettings},
		{"source keeps every field", testSourceKeepsEveryField},
		{"source names", testSourceNames},
		{"source names at once", testSourceNamesAtOnce},
		{"source update", testSourceUpdate},
		{"source delete", testSourceDelete},
		{"source list", testSourceList},
		{"records keep every field", testRecordsKeepEveryField},
		{"record filters", testRecordFilters},
		{"many records", testManyRecords},
		{"large records", testLargeRecords},
		{"changes", testChanges},
		{"run keeps every field", testRunKeepsEveryField},
		{"run that fails", testRunFails},
		{"run finds its source busy", testRunBusy},
		{"runs at once", testRunsAtOnce},
		{"run repeated", testRunRepeated},
		{"run of another setting", testRunOfAnotherSetting},
		{"run settles columns", testRunSettlesColumns},
		{"built in", testBuiltIn},
		{"work fenced", testWorkFenced},
		{"work undone", testWorkUndone},
		{"work reports", testWorkReports},
		{"stage", testStage},
		{"record", testRecord},
		{"compare", testCompare},
		{"compare a lot", testCompareALot},
		{"missing a lot", testMissingALot},
		{"run ends", testRunEnds},
		{"sweep in batches", testSweepBatches},
		{"sweep a source", testSweepSource},
		{"abandoned uploads", testAbandonedUploads},
		{"uploads", testUploads},
		{"upload dropped", testUploadDropped},
		{"audit keeps every field", testAuditKeepsEveryField},
		{"audit lists", testAuditLists},
		{"large entries", testLargeEntries},
		{"audit chain", testAuditChain},
		{"audit retention", testAuditRetention},
		{"client keeps every field", testClientKeepsEveryField},
		{"client update", testClientUpdate},
		{"client updates at once", testClientUpdatesAtOnce},
		{"client list", testClientList},
		{"signing keys", testSigningKeys},
		{"first signing key at once", testFirstSigningKeyAtOnce},
		{"webhooks", testWebhooks},
		{"webhooks at once", testWebhooksAtOnce},
		{"webhook told", testWebhookTold},
		{"delivery list", testDeliveryList},
		{"late deliveries", testDeliveriesLate},
		{"dump", testDump},
		{"dump is of one moment", testDumpIsOfOneMoment},
		{"restore refuses", testRestoreRefuses},
		{"closed", testClosed},
		{"contexts", testContexts},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			another := func() Store {
				s := newStore(t)
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Errorf("close the store: %v", err)
					}
				})
				return s
			}
			s := another()
			c.run(trial{t, s, another})
		})
	}
}

// trial is one case on one store.
type trial struct {
	*testing.T
	store Store
	// another opens one more, which is empty.
	another func() Store
}
