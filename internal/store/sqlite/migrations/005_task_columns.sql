-- What else of the TaskStatus lists are filtered and sorted on.
ALTER TABLE tasks ADD COLUMN unique_name TEXT NOT NULL COLLATE NOCASE DEFAULT '';
ALTER TABLE tasks ADD COLUMN description TEXT NOT NULL COLLATE NOCASE DEFAULT '';
ALTER TABLE tasks ADD COLUMN target_id TEXT COLLATE NOCASE;
ALTER TABLE tasks ADD COLUMN target_name TEXT COLLATE NOCASE;
ALTER TABLE tasks ADD COLUMN percent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN duration INTEGER GENERATED ALWAYS AS (completed - launched) VIRTUAL;

UPDATE tasks SET
	unique_name = json_extract(CAST(wire AS TEXT), '$.uniqueName'),
	description = json_extract(CAST(wire AS TEXT), '$.description'),
	target_id = json_extract(CAST(wire AS TEXT), '$.target.id'),
	target_name = json_extract(CAST(wire AS TEXT), '$.target.name'),
	percent = json_extract(CAST(wire AS TEXT), '$.percentComplete');

CREATE INDEX tasks_unique_name ON tasks (unique_name, created, id);
CREATE INDEX tasks_target_id ON tasks (target_id, created, id);
CREATE INDEX tasks_target_name ON tasks (target_name, created, id);
CREATE INDEX tasks_completed ON tasks (completed, created, id);
CREATE INDEX tasks_duration ON tasks (duration, created, id);
