-- Times are UTC milliseconds. A null status means in progress. Text is ordered by
-- its bytes, and lower() of it folds ASCII only, which is what COLLATE "C" says;
-- what people wrote without that bound is kept as bytes.
CREATE TABLE tasks (
	id               uuid    NOT NULL PRIMARY KEY,
	created          bigint  NOT NULL,
	modified         bigint  NOT NULL,
	launched         bigint,
	completed        bigint,
	status           text    COLLATE "C",
	kind             text    NOT NULL COLLATE "C",
	type             text    NOT NULL COLLATE "C",
	source_id        text    COLLATE "C",
	launcher         text    NOT NULL COLLATE "C",
	attempt          integer NOT NULL,
	sequence         bigint  NOT NULL,
	last_report      bigint,
	heartbeat_limit  bigint  NOT NULL,
	cancel_requested bigint,
	cancel_reason    bytea,
	reported         text    COLLATE "C",
	job              bigint, -- the River job of the current attempt, where Stint runs it
	interruptions    integer NOT NULL DEFAULT 0, -- in a row, without new progress
	wire             bytea   NOT NULL, -- the TaskStatus as it is served; holds what no column does
	CHECK ((status IS NULL) = (completed IS NULL))
) WITH (fillfactor = 85); -- a report changes no column of an index: its row stays on its page

-- The sum keeps the server from walking through all tasks in order where another
-- index was meant: it would believe to meet enough of them soon.
CREATE INDEX tasks_created ON tasks ((created + 0), id);
CREATE INDEX tasks_status ON tasks (status, created, id) WHERE status IS NOT NULL;
CREATE INDEX tasks_kind ON tasks (kind, created, id);
CREATE INDEX tasks_type ON tasks (type, created, id);
-- An entry of an index holds some 2,700 bytes at the most, a source's id more.
CREATE INDEX tasks_source ON tasks (lower(left(source_id, 600)), created, id) WHERE source_id IS NOT NULL;
CREATE INDEX tasks_launcher ON tasks (lower(launcher), created, id);
CREATE INDEX tasks_in_progress ON tasks (created, id) WHERE status IS NULL;
CREATE INDEX tasks_in_progress_kind ON tasks (kind, created, id) WHERE status IS NULL;
CREATE INDEX tasks_job ON tasks (job) WHERE job IS NOT NULL AND status IS NULL;

-- When a task in progress must have reported. It changes with every report, and
-- would take every index of tasks with it if it stood there.
CREATE TABLE deadlines (
	id       uuid   NOT NULL PRIMARY KEY,
	deadline bigint NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX deadlines_deadline ON deadlines (deadline);

-- Exact counts; see package tally. A long value is held as its hash. A write adds what it changes to tally_changes, in
-- its own transaction: no two wait for one row. Now and then they are folded into
-- tallies; a count is the sum of both.
CREATE TABLE tallies (
	dimension integer NOT NULL,
	value     bytea   NOT NULL,
	level     integer NOT NULL,
	bucket    bigint  NOT NULL,
	n         bigint  NOT NULL,
	PRIMARY KEY (dimension, value, level, bucket)
) WITH (fillfactor = 50);

CREATE INDEX tallies_zero ON tallies (dimension) WHERE n = 0;

-- bucket is of the lowest level: it tells those above.
CREATE TABLE tally_changes (
	seq       bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	dimension integer NOT NULL,
	value     bytea   NOT NULL,
	bucket    bigint  NOT NULL,
	n         bigint  NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX tally_changes_value ON tally_changes (dimension, value);

-- Whoever folds holds its row: one at a time.
CREATE TABLE tally_fold (
	one boolean NOT NULL PRIMARY KEY CHECK (one)
);

INSERT INTO tally_fold (one) VALUES (true);

CREATE TABLE history (
	task_id uuid    NOT NULL,
	seq     integer NOT NULL,
	at      bigint  NOT NULL,
	event   text    NOT NULL COLLATE "C",
	attempt integer NOT NULL,
	actor   text    NOT NULL COLLATE "C",
	text    bytea   NOT NULL,
	key     text    NOT NULL COLLATE "C",
	count   bigint  NOT NULL,
	PRIMARY KEY (task_id, seq)
);

-- What a launch with an Idempotency-Key made, so that its repeat makes nothing.
CREATE TABLE idempotency (
	key         bytea  NOT NULL PRIMARY KEY,
	fingerprint bytea  NOT NULL,
	task_id     uuid   NOT NULL,
	created     bigint NOT NULL
);

CREATE INDEX idempotency_created ON idempotency (created);

CREATE TABLE settings (
	name  text  NOT NULL PRIMARY KEY COLLATE "C",
	value bytea NOT NULL
);
