-- Personal access tokens and applications. A revoked one stays, so that what it
-- did can be told.
CREATE TABLE clients (
	id        uuid   NOT NULL PRIMARY KEY,
	sort      text   NOT NULL COLLATE "C", -- PERSONAL_ACCESS_TOKEN or APPLICATION
	name      text   NOT NULL COLLATE "C",
	username  text   COLLATE "C",
	settings  bytea  NOT NULL, -- JSON: levels, scopes, sources
	digest    bytea  NOT NULL, -- keyed hash of the secret
	created   bigint NOT NULL,
	modified  bigint NOT NULL,
	expires   bigint,
	revoked   bigint,
	last_used bigint,
	CHECK ((sort = 'APPLICATION') = (username IS NULL))
);

-- The keys that sign access tokens, sealed under the key file. The newest signs;
-- the others verify what they signed until that has expired.
CREATE TABLE signing_keys (
	seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id      text   NOT NULL UNIQUE COLLATE "C",
	created bigint NOT NULL,
	retired bigint,
	sealed  bytea  NOT NULL
);
