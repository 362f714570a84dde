-- What Stint runs itself: the River job of the current attempt, and how many
-- attempts in a row were interrupted without new progress.
ALTER TABLE tasks ADD COLUMN job INTEGER;
ALTER TABLE tasks ADD COLUMN interruptions INTEGER NOT NULL DEFAULT 0;

CREATE INDEX tasks_job ON tasks (job) WHERE job IS NOT NULL AND status IS NULL;

CREATE TABLE sources (
	seq          INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: what a deleted source leaves is swept later
	id           BLOB    NOT NULL UNIQUE,
	name         TEXT    NOT NULL COLLATE NOCASE UNIQUE,
	type         TEXT    NOT NULL,
	created      INTEGER NOT NULL,
	modified     INTEGER NOT NULL,
	settings     BLOB    NOT NULL, -- JSON: description, connector attributes, threshold
	accounts     INTEGER NOT NULL DEFAULT 0, -- how many are stored, changed with them
	entitlements INTEGER NOT NULL DEFAULT 0,
	CHECK (length(id) = 16)
) STRICT;

-- key is the native identity. hash is that of name and body.
CREATE TABLE accounts (
	seq      INTEGER PRIMARY KEY,
	source   INTEGER NOT NULL, -- sources.seq
	key      TEXT    NOT NULL,
	id       BLOB    NOT NULL,
	name     TEXT    NOT NULL COLLATE NOCASE,
	created  INTEGER NOT NULL,
	modified INTEGER NOT NULL,
	change   TEXT    NOT NULL, -- by the run that changed it last
	task_id  BLOB    NOT NULL,
	hash     BLOB    NOT NULL,
	body     BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX accounts_key ON accounts (source, key);
CREATE UNIQUE INDEX accounts_id ON accounts (id);
-- In the order of lists; with the source, which tells what may be shown.
CREATE INDEX accounts_name ON accounts (name, id, source);
CREATE INDEX accounts_native_identity ON accounts (key COLLATE NOCASE, id, source);

-- The same shape. key is attribute, U+001F, native identity.
CREATE TABLE entitlements (
	seq       INTEGER PRIMARY KEY,
	source    INTEGER NOT NULL,
	key       TEXT    NOT NULL,
	id        BLOB    NOT NULL,
	name      TEXT    NOT NULL COLLATE NOCASE,
	created   INTEGER NOT NULL,
	modified  INTEGER NOT NULL,
	change    TEXT    NOT NULL,
	task_id   BLOB    NOT NULL,
	hash      BLOB    NOT NULL,
	body      BLOB    NOT NULL,
	attribute       TEXT GENERATED ALWAYS AS (substr(key, 1, instr(key, char(31)) - 1)) VIRTUAL,
	native_identity TEXT GENERATED ALWAYS AS (substr(key, instr(key, char(31)) + 1)) VIRTUAL
) STRICT;

CREATE UNIQUE INDEX entitlements_key ON entitlements (source, key);
CREATE UNIQUE INDEX entitlements_id ON entitlements (id);
CREATE INDEX entitlements_name ON entitlements (name, id, source);
CREATE INDEX entitlements_native_identity ON entitlements (native_identity COLLATE NOCASE, id, source);

-- What an aggregation is to do and how far it has come; kept as long as its task.
CREATE TABLE runs (
	task_id BLOB    NOT NULL PRIMARY KEY,
	source  INTEGER NOT NULL,
	class   INTEGER NOT NULL, -- 1 accounts, 2 entitlements
	active  INTEGER,          -- 1 while the task is in progress, else NULL
	upload  BLOB,
	state   BLOB    NOT NULL  -- JSON
) STRICT, WITHOUT ROWID;

-- One aggregation of a sort at a time on a source.
CREATE UNIQUE INDEX runs_active ON runs (source, class) WHERE active IS NOT NULL;

-- Records that a run has read. body is NULL where the stored record has the same
-- hash; hash is NULL where the stored record is to be left as it is.
CREATE TABLE staged (
	task_id BLOB NOT NULL,
	key     TEXT NOT NULL,
	name    TEXT NOT NULL,
	hash    BLOB,
	body    BLOB,
	PRIMARY KEY (task_id, key)
) STRICT, WITHOUT ROWID;

-- What a run has changed; kept as long as its task.
CREATE TABLE changes (
	task_id    BLOB NOT NULL,
	change     TEXT NOT NULL,
	key        TEXT NOT NULL,
	name       TEXT NOT NULL,
	attributes BLOB, -- JSON: the names of those that differ
	PRIMARY KEY (task_id, change, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE uploads (
	id      BLOB    NOT NULL PRIMARY KEY,
	touched INTEGER NOT NULL,
	task_id BLOB -- NULL while it arrives
) STRICT, WITHOUT ROWID;

-- Chunks of an upload, each a zstd frame of its own. start is the position of the
-- chunk's first byte in the upload.
CREATE TABLE upload_chunks (
	upload BLOB    NOT NULL,
	start  INTEGER NOT NULL,
	data   BLOB    NOT NULL,
	PRIMARY KEY (upload, start)
) STRICT;

-- What nothing needs any more, to be deleted a little at a time.
CREATE TABLE garbage (
	sort TEXT NOT NULL, -- staged, changes, upload, source
	ref  BLOB NOT NULL,
	PRIMARY KEY (sort, ref)
) STRICT, WITHOUT ROWID;
