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
