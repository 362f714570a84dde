-- Who is told of tasks that have ended.
CREATE TABLE webhooks (
	id         uuid    NOT NULL PRIMARY KEY,
	name       text    NOT NULL COLLATE "C",
	created    bigint  NOT NULL,
	modified   bigint  NOT NULL,
	enabled    integer NOT NULL,
	settings   bytea   NOT NULL, -- JSON: URL, events, filter, why it was disabled
	secret     bytea   NOT NULL, -- sealed under the key file, as the one before it
	old_secret bytea,
	rotated    bigint,
	position   text COLLATE "C" -- up to where the feed was read for it; NULL is the feed's beginning
);

-- What each of them was told, or is to be.
CREATE TABLE deliveries (
	id           uuid    NOT NULL PRIMARY KEY,
	webhook      uuid    NOT NULL,
	task_id      uuid, -- NULL for a test
	event        text    NOT NULL COLLATE "C",
	created      bigint  NOT NULL,
	state        text    NOT NULL COLLATE "C", -- pending, delivered, failed
	attempts     integer NOT NULL,
	earlier      integer NOT NULL, -- of the attempts, those before it was asked for again
	last_attempt bigint,
	last_status  integer,
	last_error   text COLLATE "C",
	next_attempt bigint,
	done         bigint,
	job          bigint,
	CHECK ((state = 'pending') = (done IS NULL)),
	CHECK ((state = 'pending') = (next_attempt IS NOT NULL)),
	CHECK ((state = 'pending') = (job IS NOT NULL))
);

-- Nobody is told twice of the same.
CREATE UNIQUE INDEX deliveries_told ON deliveries (webhook, task_id, event);
CREATE INDEX deliveries_listed ON deliveries (webhook, created, id);
CREATE INDEX deliveries_state ON deliveries (webhook, state, created, id);
CREATE INDEX deliveries_created ON deliveries (created);
CREATE INDEX deliveries_next ON deliveries (next_attempt, id) WHERE next_attempt IS NOT NULL;
