-- Times are UTC milliseconds. Ids are 16 bytes. A null status means in progress.
CREATE TABLE tasks (
	seq              INTEGER PRIMARY KEY,
	id               BLOB    NOT NULL,
	created          INTEGER NOT NULL,
	modified         INTEGER NOT NULL,
	launched         INTEGER,
	completed        INTEGER,
	status           TEXT,
	kind             TEXT    NOT NULL,
	type             TEXT    NOT NULL,
	source_id        TEXT    COLLATE NOCASE,
	launcher         TEXT    NOT NULL COLLATE NOCASE,
	attempt          INTEGER NOT NULL,
	sequence         INTEGER NOT NULL,
	last_report      INTEGER,
	heartbeat_limit  INTEGER NOT NULL,
	deadline         INTEGER,
	cancel_requested INTEGER,
	cancel_reason    TEXT,
	reported         TEXT,
	wire             BLOB    NOT NULL, -- the TaskStatus as it is served; holds what no column does
	CHECK (length(id) = 16),
	CHECK ((status IS NULL) = (completed IS NULL))
) STRICT;

CREATE UNIQUE INDEX tasks_id ON tasks (id);
CREATE INDEX tasks_created ON tasks (created, id);
CREATE INDEX tasks_status ON tasks (status, created, id) WHERE status IS NOT NULL;
CREATE INDEX tasks_kind ON tasks (kind, created, id);
CREATE INDEX tasks_type ON tasks (type, created, id);
CREATE INDEX tasks_source ON tasks (source_id, created, id) WHERE source_id IS NOT NULL;
CREATE INDEX tasks_launcher ON tasks (launcher, created, id);
CREATE INDEX tasks_in_progress ON tasks (created, id) WHERE status IS NULL;
CREATE INDEX tasks_in_progress_kind ON tasks (kind, created, id) WHERE status IS NULL;
CREATE INDEX tasks_deadline ON tasks (deadline) WHERE deadline IS NOT NULL;

-- Exact counts; see package tally. Kept by every write of tasks in its own transaction.
CREATE TABLE tallies (
	dimension INTEGER NOT NULL,
	value     TEXT    NOT NULL,
	level     INTEGER NOT NULL,
	bucket    INTEGER NOT NULL,
	n         INTEGER NOT NULL,
	PRIMARY KEY (dimension, value, level, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
	task_id BLOB    NOT NULL,
	seq     INTEGER NOT NULL,
	at      INTEGER NOT NULL,
	event   TEXT    NOT NULL,
	attempt INTEGER NOT NULL,
	actor   TEXT    NOT NULL,
	text    TEXT    NOT NULL,
	key     TEXT    NOT NULL,
	count   INTEGER NOT NULL,
	PRIMARY KEY (task_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
	seq        INTEGER PRIMARY KEY AUTOINCREMENT,
	at         INTEGER NOT NULL,
	action     TEXT    NOT NULL,
	actor      TEXT    NOT NULL,
	address    TEXT    NOT NULL,
	agent      TEXT    NOT NULL,
	request_id TEXT    NOT NULL,
	object     TEXT    NOT NULL,
	before     BLOB,
	after      BLOB,
	words      TEXT    NOT NULL,
	reason     TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_object ON audit (object, seq);

-- What a launch with an Idempotency-Key made, so that its repeat makes nothing.
CREATE TABLE idempotency (
	key         TEXT    NOT NULL PRIMARY KEY,
	fingerprint BLOB    NOT NULL,
	task_id     BLOB    NOT NULL,
	created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_created ON idempotency (created);

CREATE TABLE settings (
	name  TEXT NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
