// Package postgres keeps tasks in a PostgreSQL database, version 15 or newer.
//
// It owns the connections, the schema and its migrations, the SQL that filters
// compile to and the exact counts. It does not own any rule of the domain: what a
// write makes of a task is decided by a function that it is given.
//
// Invariants:
//   - as many processes as people start share one schema: what two of them must
//     not do at once is held apart by row locks, never by what a process knows;
//   - a write locks the rows that it decides by, tasks before sources, the ends of
//     the audit last and in the order of their shards;
//   - the rows, the counts, the history and the audit entry of a change commit
//     together or not at all;
//   - deadlocks, serialization failures and connections lost before the commit are
//     tried again here; whoever asked sees none of them.
//
// All methods of Store are safe for concurrent use. Their errors are
// *task.Error; a database that is away, full or read-only is Unavailable.
package postgres
