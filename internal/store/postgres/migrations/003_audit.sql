-- The chain of the audit; see package audit. An entry is the n-th of its shard.
CREATE TABLE audit (
	shard      integer NOT NULL,
	n          bigint  NOT NULL,
	link       bytea   NOT NULL,
	at         bigint  NOT NULL,
	action     text    NOT NULL COLLATE "C",
	actor      text    NOT NULL COLLATE "C",
	client     text    NOT NULL COLLATE "C",
	address    text    NOT NULL COLLATE "C",
	agent      bytea   NOT NULL,
	request_id text    NOT NULL COLLATE "C",
	object     text    NOT NULL COLLATE "C",
	before     bytea,
	after      bytea,
	words      bytea   NOT NULL,
	reason     bytea   NOT NULL,
	PRIMARY KEY (shard, n)
);

-- The sum has the reason that it has on tasks.
CREATE INDEX audit_created ON audit ((at + 0), shard, n);
-- An entry of an index holds some 2,700 bytes at the most.
CREATE INDEX audit_object ON audit (lower(left(object, 600)), at, shard, n);
CREATE INDEX audit_request ON audit (lower(left(request_id, 600)), at, shard, n);
CREATE INDEX audit_client ON audit (lower(left(client, 600)), at, shard, n);
CREATE INDEX audit_actor ON audit (lower(left(actor, 600)), at, shard, n);
CREATE INDEX audit_action ON audit (lower(action), at, shard, n);

-- The last entry of each shard, deleted since or not.
CREATE TABLE audit_heads (
	shard integer NOT NULL PRIMARY KEY,
	n     bigint  NOT NULL,
	link  bytea   NOT NULL
) WITH (fillfactor = 10);

-- How far retention has deleted each shard. n and link are those of the last
-- entry that it deleted; until is the time up to which it did.
CREATE TABLE audit_checkpoints (
	shard     integer NOT NULL PRIMARY KEY,
	n         bigint  NOT NULL,
	link      bytea   NOT NULL,
	made      bigint  NOT NULL,
	until     bigint  NOT NULL,
	signature bytea   NOT NULL
);

-- Nothing in Stint may change what stands here. Whoever owns the tables can drop
-- these: the chain is there to show that.
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		IF EXISTS (SELECT 1 FROM audit_checkpoints c WHERE c.shard = OLD.shard AND c.n >= OLD.n) THEN
			RETURN OLD;
		END IF;
		RAISE EXCEPTION 'the audit is append-only: only what a checkpoint covers is deleted';
	END IF;
	RAISE EXCEPTION 'the audit is append-only';
END
$$;

CREATE TRIGGER audit_stays_as_it_is BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays();
CREATE TRIGGER audit_stays BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();
