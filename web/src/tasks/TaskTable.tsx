import { Button, Checkbox, Table } from '@mantine/core';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import { flexRender, getCoreRowModel, useReactTable, type Header } from '@tanstack/react-table';
import { isStatus } from '../api/client';
import type { Task, TaskSort } from '../api/types';
import { useMayEnd } from '../session/session';
import { Empty } from '../ui/Empty';
import { Loading } from '../ui/Loading';
import { Problem } from '../ui/Problem';
import { TextLink } from '../ui/TextLink';
import { WideTable } from '../ui/WideTable';
import { metaOf, type TaskColumns } from './columns';
import { isFiltered, type TaskSearch } from './search';
import classes from './TaskTable.module.css';
import type { useTaskList } from './useTaskList';

interface TaskTableProps {
  list: ReturnType<typeof useTaskList>;
  columns: TaskColumns;
  sort: TaskSort;
  onSort: (sort: TaskSort) => void;
  /** The ids that are selected; null where nothing can be. */
  selected: string[] | null;
  onSelect: (ids: string[]) => void;
  search: TaskSearch;
  onClearFilters: () => void;
}

export function TaskTable({ list, columns, sort, onSort, selected, onSelect, search, onClearFilters }: TaskTableProps) {
  const table = useReactTable({
    data: list.items,
    columns: columns.all,
    state: { columnVisibility: Object.fromEntries(columns.hidden.map((id) => [id, false])) },
    getCoreRowModel: getCoreRowModel(),
    getRowId: (task) => task.id,
  });
  const mayEnd = useMayEnd();
  const { query } = list;
  if (query.isPending) return <Loading rows={12} />;
  // What is wrong with a filter is said beside the filter.
  if (query.isError && isStatus(query.error, 400)) return null;
  if (query.isError && list.items.length === 0) {
    return <Problem title="The tasks cannot be shown" error={query.error} retry={() => void query.refetch()} />;
  }
  if (list.items.length === 0) return <NoTasks filtered={isFiltered(search)} onClear={onClearFilters} />;
  const selectable = list.items.filter(mayEnd).map((task) => task.id);
  return (
    <WideTable label="Tasks" className={classes.table} aria-busy={query.isPlaceholderData}>
      <Table.Thead>
        {table.getHeaderGroups().map((group) => (
          <Table.Tr key={group.id}>
            {selected && (
              <Table.Th w={36}>
                <Checkbox
                  size="xs"
                  aria-label="Select the tasks in progress on this page"
                  disabled={selectable.length === 0}
                  checked={selectable.length > 0 && selectable.every((id) => selected.includes(id))}
                  indeterminate={selected.length > 0 && !selectable.every((id) => selected.includes(id))}
                  onChange={(event) => onSelect(event.currentTarget.checked ? selectable : [])}
                />
              </Table.Th>
            )}
            {group.headers.map((header) => (
              <HeaderCell key={header.id} header={header} sort={sort} onSort={onSort} />
            ))}
          </Table.Tr>
        ))}
      </Table.Thead>
      <Table.Tbody>
        {table.getRowModel().rows.map((row) => (
          <Table.Tr key={row.id} className={classes.row}>
            {selected && (
              <Table.Td>
                {mayEnd(row.original) && (
                  <Checkbox
                    size="xs"
                    aria-label={`Select ${row.original.uniqueName}`}
                    checked={selected.includes(row.id)}
                    onChange={(event) =>
                      onSelect(
                        event.currentTarget.checked ? [...selected, row.id] : selected.filter((id) => id !== row.id),
                      )
                    }
                  />
                )}
              </Table.Td>
            )}
            {row.getVisibleCells().map((cell) => (
              <Table.Td
                key={cell.id}
                className={metaOf(cell.column.columnDef).narrow === 'hide' ? classes.hide : undefined}
              >
                {flexRender(cell.column.columnDef.cell, cell.getContext())}
              </Table.Td>
            ))}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </WideTable>
  );
}

interface HeaderCellProps {
  header: Header<Task, unknown>;
  sort: TaskSort;
  onSort: (sort: TaskSort) => void;
}

function HeaderCell({ header, sort, onSort }: HeaderCellProps) {
  const { label, sortBy, narrow } = metaOf(header.column.columnDef);
  const className = narrow === 'hide' ? classes.hide : undefined;
  if (sortBy === undefined) return <Table.Th className={className}>{label}</Table.Th>;
  const rising = sort === sortBy;
  const falling = sort === `-${sortBy}`;
  const direction = rising ? 'ascending' : falling ? 'descending' : 'none';
  return (
    <Table.Th className={className} aria-sort={direction}>
      <button type="button" className={classes.sort} onClick={() => onSort(falling ? sortBy : `-${sortBy}`)}>
        {label}
        {rising && <IconArrowUp size={14} aria-hidden />}
        {falling && <IconArrowDown size={14} aria-hidden />}
      </button>
    </Table.Th>
  );
}

function NoTasks({ filtered, onClear }: { filtered: boolean; onClear: () => void }) {
  if (filtered) {
    return (
      <Empty title="No task matches">
        <Button variant="default" size="xs" mt="xs" onClick={onClear}>
          Remove all filters
        </Button>
      </Empty>
    );
  }
  return (
    <Empty title="There are no tasks yet">
      Aggregate a <TextLink to="/sources">source</TextLink>, or run a program as a task:{' '}
      <code>stint exec --type NAME -- PROGRAM</code>
    </Empty>
  );
}
