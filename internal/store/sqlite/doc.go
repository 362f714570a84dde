// Package sqlite keeps tasks in one SQLite file.
//
// It owns the file and its lock, the schema and its migrations, the SQL that
// filters compile to, the exact counts and the group commit. It does not own
// any rule of the domain: what a write makes of a task is decided by a function
// that it is given.
//
// Invariants:
//   - one process per file, held by a lock file beside it;
//   - one writer: every write runs on one connection, and writes that wait
//     together share one commit, each in its own savepoint;
//   - a write that has returned is on disk (WAL, synchronous FULL);
//   - the rows, the counts, the history and the audit entry of a change commit
//     together or not at all.
//
// All methods of Store are safe for concurrent use. Their errors are
// *task.Error; a full disk and a busy or failing file are Unavailable.
package sqlite
