-- The feed: tasks in the order of their last changes. changed is the number of the
-- transaction that last wrote the row, of those that write tasks; NULL is of before the
-- feed, or of a restored copy.
ALTER TABLE tasks ADD COLUMN changed INTEGER;

CREATE INDEX tasks_changed ON tasks (changed, id) WHERE changed IS NOT NULL;

-- The number of the last such transaction. It never falls, whatever is deleted. id
-- tells the numbers of one database from those of another.
CREATE TABLE feed (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	id      BLOB    NOT NULL,
	changed INTEGER NOT NULL
) STRICT;

INSERT INTO feed (one, id, changed) VALUES (1, randomblob(8), 0);
