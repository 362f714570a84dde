-- The feed: tasks in the order of their last changes. changed is the number of the
-- transaction that last wrote the task, of those that write tasks. It changes with
-- every report, and would take every index of tasks with it if it stood there. A task
-- of before the feed, or of a restored copy, has no row until it changes.
CREATE TABLE feed (
	task_id uuid   NOT NULL PRIMARY KEY,
	changed bigint NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

CREATE UNIQUE INDEX feed_changed ON feed (changed, task_id);

-- Whose number is not committed yet holds a lock that names one before it.
CREATE SEQUENCE feed_numbers;
SELECT nextval('feed_numbers');

-- id tells the numbers of one database from those of another.
CREATE TABLE feed_origin (
	one boolean NOT NULL PRIMARY KEY CHECK (one),
	id  bytea   NOT NULL
);

INSERT INTO feed_origin (one, id) VALUES (true, substr(sha256(uuid_send(gen_random_uuid())), 1, 8));
