-- Who is told of tasks that have ended.
CREATE TABLE webhooks (
	id         BLOB    NOT NULL PRIMARY KEY,
	name       TEXT    NOT NULL COLLATE NOCASE,
	created    INTEGER NOT NULL,
	modified   INTEGER NOT NULL,
	enabled    INTEGER NOT NULL,
	settings   BLOB    NOT NULL, -- JSON: URL, events, filter, why it was disabled
	secret     BLOB    NOT NULL, -- sealed under the key file, as the one before it
	old_secret BLOB,
	rotated    INTEGER,
	position   TEXT, -- up to where the feed was read for it; NULL is the feed's beginning
	CHECK (length(id) = 16)
) STRICT;

-- What each of them was told, or is to be.
CREATE TABLE deliveries (
	seq          INTEGER PRIMARY KEY,
	id           BLOB    NOT NULL UNIQUE,
	webhook      BLOB    NOT NULL,
	task_id      BLOB, -- NULL for a test
	event        TEXT    NOT NULL,
	created      INTEGER NOT NULL,
	state        TEXT    NOT NULL, -- pending, delivered, failed
	attempts     INTEGER NOT NULL,
	earlier      INTEGER NOT NULL, -- of the attempts, those before it was asked for again
	last_attempt INTEGER,
	last_status  INTEGER,
	last_error   TEXT,
	next_attempt INTEGER,
	done         INTEGER,
	job          INTEGER,
	CHECK (length(id) = 16),
	CHECK ((state = 'pending') = (done IS NULL)),
	CHECK ((state = 'pending') = (next_attempt IS NOT NULL)),
	CHECK ((state = 'pending') = (job IS NOT NULL))
) STRICT;

-- Nobody is told twice of the same.
CREATE UNIQUE INDEX deliveries_told ON deliveries (webhook, task_id, event);
CREATE INDEX deliveries_listed ON deliveries (webhook, created, id);
CREATE INDEX deliveries_state ON deliveries (webhook, state, created, id);
CREATE INDEX deliveries_created ON deliveries (created);
CREATE INDEX deliveries_next ON deliveries (next_attempt, id) WHERE next_attempt IS NOT NULL;
