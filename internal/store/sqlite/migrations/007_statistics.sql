-- What statistics read of each task that has ended, in the order of their ends, and
-- nothing else of it.
CREATE INDEX tasks_ended ON tasks (completed, kind, source_id, status, launched, created, id) WHERE status IS NOT NULL;

-- The newest tasks of each type and source.
CREATE INDEX tasks_pair ON tasks (kind, ifnull(source_id, '') COLLATE NOCASE, created, id);
