// Package dump is the form in which the content of a store travels to another:
// the list of the tables with their columns, and the lines that their rows are
// written as.
//
// It owns the form, and what each row may hold. It does not own storage: a store
// says where it keeps a table, and makes again what it derives from the rows, such
// as counts and deadlines.
//
// Invariants: one content has one form, so that two stores that hold the same
// write the same lines, all but the first; what is read is exactly what was
// written, or is refused.
package dump

import "math"

// Type is what the values of a column are in a Row.
type Type int

// The types. A null is nil, whatever the type.
const (
	Int   Type = iota // int64
	Text              // string, of any bytes
	Bytes             // []byte
	ID                // []byte of 16
)

// Column is one column of a table.
type Column struct {
	Name string
	Type Type
	Null bool // may be null
	// Min and Max bound what an Int may be.
	Min, Max int64
}

// Table is one table, in the form that all stores share.
type Table struct {
	Name    string
	Columns []Column
	// Key is how many of the first columns order the rows: each is greater than the
	// one before it. Text and bytes are ordered by their bytes.
	Key int
}

// The tables that the stores treat on their own.
const (
	Settings   = "settings"
	Tasks      = "tasks"
	AuditHeads = "audit_heads"
	// Sequences holds, for each table whose numbers are never used again, the last
	// one that was.
	Sequences = "sequences"
)

// The settings that the chain of the audit needs: which deployment this is, as 32
// hex digits, and which key its links are made under.
const (
	SettingDeployment = "deployment"
	SettingKeyCheck   = "audit_key_check"
)

// Tables returns the tables in the order that they travel in. The settings come
// first: they tell whether the key fits.
func Tables() []Table {
	tables := []Table{table(Settings, 1, column("name", Text), column("value", Bytes))}
	tables = append(tables, taskTables()...)
	tables = append(tables, sourceTables()...)
	tables = append(tables, runTables()...)
	tables = append(tables, auditTables()...)
	tables = append(tables, webhookTables()...)
	return append(tables,
		table("clients", 1,
			column("id", ID), column("sort", Text), column("name", Text), column("user", Text).orNull(), column("settings", Bytes),
			column("digest", Bytes), column("created", Int), column("modified", Int), column("expires", Int).orNull(),
			column("revoked", Int).orNull(), column("last_used", Int).orNull()),
		table("signing_keys", 1,
			column("seq", Int).within(1, math.MaxInt64), column("id", Text), column("created", Int), column("retired", Int).orNull(),
			column("sealed", Bytes)),
		table(Sequences, 1, column("name", Text), column("last", Int).within(0, math.MaxInt64)))
}

func taskTables() []Table {
	return []Table{
		// In the order of their creation, so that rows that are listed together are
		// stored together.
		table(Tasks, 2,
			column("created", Int), column("id", ID), column("modified", Int), column("launched", Int).orNull(),
			column("completed", Int).orNull(), column("status", Text).orNull(), column("kind", Text), column("type", Text),
			column("source_id", Text).orNull(), column("launcher", Text), column("attempt", Int).small(), column("sequence", Int),
			column("last_report", Int).orNull(), column("heartbeat_limit", Int), column("cancel_requested", Int).orNull(),
			column("cancel_reason", Text).orNull(), column("reported", Text).orNull(),
			// The number of a job means nothing elsewhere. 0 is that of none: a server finds
			// that nobody runs the task, and gives it its next attempt.
			column("job", Int).orNull().within(0, 0),
			column("interruptions", Int).small(), column("wire", Bytes)),
		table("history", 2,
			column("task_id", ID), column("seq", Int).small(), column("at", Int), column("event", Text), column("attempt", Int).small(),
			column("actor", Text), column("text", Text), column("key", Text), column("count", Int)),
		table("idempotency", 1,
			column("key", Text), column("fingerprint", Bytes), column("task_id", ID), column("created", Int)),
	}
}

func sourceTables() []Table {
	record := func(name string) Table {
		return table(name, 2,
			column("source", Int), column("key", Text), column("id", ID), column("name", Text), column("created", Int),
			column("modified", Int), column("change", Text), column("task_id", ID), column("hash", Bytes), column("body", Bytes))
	}
	return []Table{
		table("sources", 1,
			column("seq", Int).within(1, math.MaxInt64), column("id", ID), column("name", Text), column("type", Text),
			column("created", Int), column("modified", Int), column("settings", Bytes), column("accounts", Int), column("entitlements", Int)),
		record("accounts"), record("entitlements"),
	}
}

func runTables() []Table {
	return []Table{
		table("runs", 1,
			column("task_id", ID), column("source", Int), column("class", Int).small(), column("active", Int).orNull().small(),
			column("upload", ID).orNull(), column("state", Bytes)),
		table("staged", 2,
			column("task_id", ID), column("key", Text), column("name", Text), column("hash", Bytes).orNull(), column("body", Bytes).orNull()),
		table("changes", 3,
			column("task_id", ID), column("change", Text), column("key", Text), column("name", Text), column("attributes", Bytes).orNull()),
		table("uploads", 1, column("id", ID), column("touched", Int), column("task_id", ID).orNull()),
		table("upload_chunks", 2, column("upload", ID), column("start", Int), column("data", Bytes)),
		table("garbage", 2, column("sort", Text), column("ref", Bytes)),
	}
}

func auditTables() []Table {
	return []Table{
		table("audit", 2,
			column("shard", Int).small(), column("n", Int), column("link", Bytes), column("at", Int), column("action", Text),
			column("actor", Text), column("client", Text), column("address", Text), column("agent", Text), column("request_id", Text),
			column("object", Text), column("before", Bytes).orNull(), column("after", Bytes).orNull(), column("words", Text),
			column("reason", Text)),
		table(AuditHeads, 1, column("shard", Int).small(), column("n", Int), column("link", Bytes)),
		table("audit_checkpoints", 1,
			column("shard", Int).small(), column("n", Int), column("link", Bytes), column("made", Int), column("until", Int),
			column("signature", Bytes)),
	}
}

func webhookTables() []Table {
	return []Table{
		// Up to where the feed was read for one means nothing elsewhere: a feed begins anew.
		table("webhooks", 1,
			column("id", ID), column("name", Text), column("created", Int), column("modified", Int), column("enabled", Int).within(0, 1),
			column("settings", Bytes), column("secret", Bytes), column("old_secret", Bytes).orNull(), column("rotated", Int).orNull()),
		table("deliveries", 1,
			column("id", ID), column("webhook", ID), column("task_id", ID).orNull(), column("event", Text), column("created", Int),
			column("state", Text), column("attempts", Int).small(), column("earlier", Int).small(), column("last_attempt", Int).orNull(),
			column("last_status", Int).orNull().small(), column("last_error", Text).orNull(), column("next_attempt", Int).orNull(),
			column("done", Int).orNull(),
			// As that of a task.
			column("job", Int).orNull().within(0, 0)),
	}
}

func table(name string, key int, columns ...Column) Table {
	return Table{Name: name, Columns: columns, Key: key}
}

func column(name string, of Type) Column {
	return Column{Name: name, Type: of, Min: math.MinInt64, Max: math.MaxInt64}
}

func (c Column) orNull() Column {
	c.Null = true
	return c
}

func (c Column) within(least, most int64) Column {
	c.Min, c.Max = least, most
	return c
}

// small is of a number that a store keeps in 32 bits.
func (c Column) small() Column { return c.within(math.MinInt32, math.MaxInt32) }
