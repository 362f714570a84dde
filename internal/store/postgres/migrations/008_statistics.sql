-- The newest tasks of each type and source.
CREATE INDEX tasks_pair ON tasks (kind, (coalesce(lower(left(source_id, 600)), '')), created, id);
