import { Progress, Text } from '@mantine/core';
import { createColumnHelper, type ColumnDef } from '@tanstack/react-table';
import { useMemo } from 'react';
import type { Task } from '../api/types';
import { rowLink } from '../app/useKeyboard';
import { useHiddenColumns } from '../settings/settings';
import { Elapsed } from '../time/Elapsed';
import { Time } from '../time/Time';
import { lookOf, StatusLabel } from '../ui/status';
import { TextLink } from '../ui/TextLink';
import { KindName } from './KindName';
import type { SortField } from './search';
import classes from './TaskTable.module.css';

const helper = createColumnHelper<Task>();

export interface ColumnMeta {
  label: string;
  /** What the API sorts by; without it, the column cannot be sorted. */
  sortBy?: SortField;
  /** How a narrow screen shows it. */
  narrow?: 'hide';
}

const all = [
  helper.display({
    id: 'status',
    meta: { label: 'Status', sortBy: 'completionStatus' } satisfies ColumnMeta,
    cell: ({ row }) => <StatusLabel look={lookOf(row.original)} tight />,
  }),
  helper.display({
    id: 'name',
    meta: { label: 'Name', sortBy: 'uniqueName' } satisfies ColumnMeta,
    cell: ({ row: { original: task } }) => (
      <>
        <TextLink to="/tasks/$id" params={{ id: task.id }} className={classes.name} {...rowLink}>
          {task.uniqueName}
        </TextLink>
        <Text size="xs" c="dimmed" className={classes.narrowOnly}>
          <Time value={task.created} />
        </Text>
      </>
    ),
  }),
  column('kind', 'Type', (task) => <KindName kind={task.kind} />, 'type'),
  column('source', 'Source', (task) => task.target?.name ?? '–', 'target.name'),
  column('launcher', 'Launcher', (task) => task.launcher, 'launcher'),
  column('progress', 'Progress', (task) => <TaskProgress task={task} />),
  column('created', 'Created', (task) => <Time value={task.created} />, 'created'),
  column('launched', 'Launched', (task) => <Time value={task.launched} />),
  column('completed', 'Completed', (task) => <Time value={task.completed} />, 'completed'),
  column('modified', 'Modified', (task) => <Time value={task.modified} />),
  helper.display({
    id: 'duration',
    meta: { label: 'Duration', sortBy: 'durationMs' } satisfies ColumnMeta,
    cell: ({ row }) => <Elapsed from={row.original.launched} to={row.original.completed} />,
  }),
  column('attempt', 'Attempt', (task) => task.attempt),
  column('messages', 'Messages', (task) => task.messages.length),
  column('id', 'ID', (task) => <code className={classes.id}>{task.id}</code>),
] as ColumnDef<Task>[];

function column(id: string, label: string, show: (task: Task) => React.ReactNode, sortBy?: SortField) {
  const meta: ColumnMeta = { label, narrow: 'hide', ...(sortBy !== undefined && { sortBy }) };
  return helper.display({ id, meta, cell: ({ row }) => show(row.original) });
}

export function TaskProgress({ task }: { task: Task }) {
  if (task.completed !== null)
    return (
      <Text size="sm" className={classes.progress}>
        {task.progress ?? '–'}
      </Text>
    );
  const text = task.state === 'queued' ? (task.waiting ?? 'Waiting') : (task.progress ?? 'Running');
  return (
    <div className={classes.progress}>
      <Progress value={task.percentComplete} size="sm" aria-label={`${task.percentComplete} percent`} />
      <Text size="xs" truncate title={text}>
        {task.percentComplete} % · {text}
      </Text>
    </div>
  );
}

export function metaOf(definition: ColumnDef<Task>): ColumnMeta {
  return definition.meta as ColumnMeta;
}

const hiddenAtFirst = ['launcher', 'launched', 'completed', 'modified', 'attempt', 'messages', 'id'];

/** The columns of the task list, and which of them are shown. */
export function useTaskColumns() {
  const [hidden, setHidden] = useHiddenColumns('tasks', hiddenAtFirst);
  return useMemo(
    () => ({
      all,
      hidden,
      toggle: (id: string) => setHidden(hidden.includes(id) ? hidden.filter((h) => h !== id) : [...hidden, id]),
      reset: () => setHidden(hiddenAtFirst),
    }),
    [hidden, setHidden],
  );
}

export type TaskColumns = ReturnType<typeof useTaskColumns>;
