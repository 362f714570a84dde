-- The chain of the audit; see package audit. An entry is the n-th of its shard.
-- What was written before the chain is linked in the same transaction, and only
-- there.
DROP INDEX audit_object;
ALTER TABLE audit RENAME TO audit_unlinked;

CREATE TABLE audit (
	seq        INTEGER PRIMARY KEY,
	shard      INTEGER NOT NULL,
	n          INTEGER NOT NULL,
	link       BLOB    NOT NULL,
	at         INTEGER NOT NULL,
	action     TEXT    NOT NULL COLLATE NOCASE,
	actor      TEXT    NOT NULL COLLATE NOCASE,
	client     TEXT    NOT NULL COLLATE NOCASE,
	address    TEXT    NOT NULL,
	agent      TEXT    NOT NULL,
	request_id TEXT    NOT NULL COLLATE NOCASE,
	object     TEXT    NOT NULL COLLATE NOCASE,
	before     BLOB,
	after      BLOB,
	words      TEXT    NOT NULL,
	reason     TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX audit_place ON audit (shard, n);
CREATE INDEX audit_created ON audit (at, shard, n);
CREATE INDEX audit_object ON audit (object, at, shard, n);
CREATE INDEX audit_request ON audit (request_id, at, shard, n);
CREATE INDEX audit_client ON audit (client, at, shard, n);
CREATE INDEX audit_actor ON audit (actor, at, shard, n);
CREATE INDEX audit_action ON audit (action, at, shard, n);

-- The last entry of each shard, deleted since or not.
CREATE TABLE audit_heads (
	shard INTEGER PRIMARY KEY,
	n     INTEGER NOT NULL,
	link  BLOB    NOT NULL
) STRICT;

-- How far retention has deleted each shard. n and link are those of the last
-- entry that it deleted; until is the time up to which it did.
CREATE TABLE audit_checkpoints (
	shard     INTEGER PRIMARY KEY,
	n         INTEGER NOT NULL,
	link      BLOB    NOT NULL,
	made      INTEGER NOT NULL,
	until     INTEGER NOT NULL,
	signature BLOB    NOT NULL
) STRICT;

-- Nothing in Stint may change what stands here. Whoever opens the file with
-- another program can drop these: the chain is there to show that.
CREATE TRIGGER audit_stays_as_it_is BEFORE UPDATE ON audit BEGIN
	SELECT RAISE(ABORT, 'the audit is append-only');
END;

CREATE TRIGGER audit_stays BEFORE DELETE ON audit
WHEN NOT EXISTS (SELECT 1 FROM audit_checkpoints c WHERE c.shard = OLD.shard AND c.n >= OLD.n) BEGIN
	SELECT RAISE(ABORT, 'the audit is append-only: only what a checkpoint covers is deleted');
END;
