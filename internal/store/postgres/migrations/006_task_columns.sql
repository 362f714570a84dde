-- What else of the TaskStatus lists are filtered and sorted on. Rows that are there
-- get it from the program: their JSON may hold what the server refuses to read.
ALTER TABLE tasks
	ADD COLUMN unique_name text NOT NULL COLLATE "C" DEFAULT '',
	ADD COLUMN description text NOT NULL COLLATE "C" DEFAULT '',
	ADD COLUMN target_id   text COLLATE "C",
	ADD COLUMN target_name text COLLATE "C",
	ADD COLUMN percent     smallint NOT NULL DEFAULT 0;

CREATE INDEX tasks_unique_name ON tasks (lower(left(unique_name, 600)), created, id);
CREATE INDEX tasks_target_id ON tasks (lower(left(target_id, 600)), created, id);
CREATE INDEX tasks_target_name ON tasks (lower(left(target_name, 600)), created, id);
CREATE INDEX tasks_completed ON tasks (completed, created, id);
CREATE INDEX tasks_duration ON tasks ((completed - launched), created, id);
