CREATE TABLE sources (
	seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never used again: what a deleted source leaves is swept later
	id           uuid   NOT NULL UNIQUE,
	name         text   NOT NULL COLLATE "C",
	type         text   NOT NULL COLLATE "C",
	created      bigint NOT NULL,
	modified     bigint NOT NULL,
	settings     bytea  NOT NULL, -- JSON: description, connector attributes, threshold
	accounts     bigint NOT NULL DEFAULT 0, -- how many are stored, changed with them
	entitlements bigint NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX sources_name ON sources (lower(name));

-- An entry of an index holds some 2,700 bytes at the most, a key or a name more
-- than that. So indexes hold the first 600 characters, and what looks a key up
-- says both: left(key, 600) = left(?, 600) AND key = ?. Of a longer key the unique
-- ones hold the hash too.

-- key is the native identity. hash is that of name and body.
CREATE TABLE accounts (
	seq      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	source   bigint NOT NULL, -- sources.seq
	key      text   NOT NULL COLLATE "C",
	id       uuid   NOT NULL,
	name     text   NOT NULL COLLATE "C",
	created  bigint NOT NULL,
	modified bigint NOT NULL,
	change   text   NOT NULL COLLATE "C", -- by the run that changed it last
	task_id  uuid   NOT NULL,
	hash     bytea  NOT NULL,
	body     bytea  NOT NULL -- JSON, every byte as it was
);

CREATE UNIQUE INDEX accounts_key ON accounts (source, left(key, 600),
	(CASE WHEN length(key) > 600 THEN sha256(decode(replace(key, '\', '\\'), 'escape')) ELSE ''::bytea END));
CREATE UNIQUE INDEX accounts_id ON accounts (id);
-- In the order of lists; with the source, which tells what may be shown.
CREATE INDEX accounts_name ON accounts (lower(left(name, 600)), id, source);
CREATE INDEX accounts_native_identity ON accounts (lower(left(key, 600)), id, source);

-- The same shape. key is attribute, U+001F, native identity.
CREATE TABLE entitlements (
	seq      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	source   bigint NOT NULL,
	key      text   NOT NULL COLLATE "C",
	id       uuid   NOT NULL,
	name     text   NOT NULL COLLATE "C",
	created  bigint NOT NULL,
	modified bigint NOT NULL,
	change   text   NOT NULL COLLATE "C",
	task_id  uuid   NOT NULL,
	hash     bytea  NOT NULL,
	body     bytea  NOT NULL
);

CREATE UNIQUE INDEX entitlements_key ON entitlements (source, left(key, 600),
	(CASE WHEN length(key) > 600 THEN sha256(decode(replace(key, '\', '\\'), 'escape')) ELSE ''::bytea END));
CREATE UNIQUE INDEX entitlements_id ON entitlements (id);
CREATE INDEX entitlements_name ON entitlements (lower(left(name, 600)), id, source);
CREATE INDEX entitlements_native_identity ON entitlements
	(lower(left(substr(key, strpos(key, chr(31)) + 1), 600)), id, source);

-- What an aggregation is to do and how far it has come; kept as long as its task.
CREATE TABLE runs (
	task_id uuid    NOT NULL PRIMARY KEY,
	source  bigint  NOT NULL,
	class   integer NOT NULL, -- 1 accounts, 2 entitlements
	active  integer,          -- 1 while the task is in progress, else NULL
	upload  uuid,
	state   bytea   NOT NULL  -- JSON
);

-- One aggregation of a sort at a time on a source.
CREATE UNIQUE INDEX runs_active ON runs (source, class) WHERE active IS NOT NULL;

-- Records that a run has read. body is NULL where the stored record has the same
-- hash; hash is NULL where the stored record is to be left as it is.
CREATE TABLE staged (
	task_id uuid  NOT NULL,
	key     text  NOT NULL COLLATE "C",
	name    text  NOT NULL COLLATE "C",
	hash    bytea,
	body    bytea
);

CREATE UNIQUE INDEX staged_key ON staged (task_id, left(key, 600),
	(CASE WHEN length(key) > 600 THEN sha256(decode(replace(key, '\', '\\'), 'escape')) ELSE ''::bytea END));

-- What a run has changed; kept as long as its task.
CREATE TABLE changes (
	task_id    uuid  NOT NULL,
	change     text  NOT NULL COLLATE "C",
	key        text  NOT NULL COLLATE "C",
	name       text  NOT NULL COLLATE "C",
	attributes bytea -- JSON: the names of those that differ
);

CREATE UNIQUE INDEX changes_key ON changes (task_id, change, left(key, 600),
	(CASE WHEN length(key) > 600 THEN sha256(decode(replace(key, '\', '\\'), 'escape')) ELSE ''::bytea END));

CREATE TABLE uploads (
	id      uuid   NOT NULL PRIMARY KEY,
	touched bigint NOT NULL,
	task_id uuid -- NULL while it arrives
);

-- Chunks of an upload, each packed by itself. start is the position of the chunk's
-- first byte in the upload.
CREATE TABLE upload_chunks (
	upload uuid   NOT NULL,
	start  bigint NOT NULL,
	data   bytea  NOT NULL,
	PRIMARY KEY (upload, start)
);

ALTER TABLE upload_chunks ALTER COLUMN data SET STORAGE EXTERNAL; -- packed already

-- What nothing needs any more, to be deleted a little at a time.
CREATE TABLE garbage (
	sort text  NOT NULL COLLATE "C", -- staged, changes, upload, source
	ref  bytea NOT NULL,
	PRIMARY KEY (sort, ref)
);
