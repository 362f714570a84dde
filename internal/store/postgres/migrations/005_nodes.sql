-- The processes that share this database.
CREATE TABLE nodes (
	id      text        NOT NULL PRIMARY KEY COLLATE "C",
	role    text        NOT NULL COLLATE "C",
	started timestamptz NOT NULL DEFAULT clock_timestamp(),
	seen    timestamptz NOT NULL DEFAULT clock_timestamp(), -- for people, and to forget it; nodes compare no clocks
	beat    bigint      NOT NULL DEFAULT 1 -- differs after each beat
);

-- Who does what is done once for all of them, and until when nobody else may, by
-- this server's clock.
CREATE TABLE leads (
	one    boolean     NOT NULL PRIMARY KEY CHECK (one),
	holder text        NOT NULL COLLATE "C",
	until  timestamptz NOT NULL
);
