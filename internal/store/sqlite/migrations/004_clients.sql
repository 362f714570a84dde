-- Personal access tokens and applications. A revoked one stays, so that what it
-- did can be told.
CREATE TABLE clients (
	seq       INTEGER PRIMARY KEY,
	id        BLOB    NOT NULL UNIQUE,
	sort      TEXT    NOT NULL, -- PERSONAL_ACCESS_TOKEN or APPLICATION
	name      TEXT    NOT NULL COLLATE NOCASE,
	user      TEXT    COLLATE NOCASE,
	settings  BLOB    NOT NULL, -- JSON: levels, scopes, sources
	digest    BLOB    NOT NULL, -- keyed hash of the secret
	created   INTEGER NOT NULL,
	modified  INTEGER NOT NULL,
	expires   INTEGER,
	revoked   INTEGER,
	last_used INTEGER,
	CHECK (length(id) = 16),
	CHECK ((sort = 'APPLICATION') = (user IS NULL))
) STRICT;

-- The keys that sign access tokens, sealed under the key file. The newest signs;
-- the others verify what they signed until that has expired.
CREATE TABLE signing_keys (
	seq     INTEGER PRIMARY KEY AUTOINCREMENT,
	id      TEXT    NOT NULL UNIQUE,
	created INTEGER NOT NULL,
	retired INTEGER,
	sealed  BLOB    NOT NULL
) STRICT;
