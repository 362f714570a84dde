import { Button, Group, Text } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { IconRefresh } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { isStatus } from '../api/client';
import { useRight } from '../session/session';
import { PageHead } from '../ui/PageHead';
import { ColumnMenu } from './ColumnMenu';
import { ExportMenu } from './ExportMenu';
import { FilterBar } from './FilterBar';
import { Pager } from './Pager';
import { SavedViews } from './SavedViews';
import { SelectionBar } from './SelectionBar';
import { filterOf, idsFilter, type TaskSearch } from './search';
import { TaskTable } from './TaskTable';
import { useTaskColumns } from './columns';
import { useTaskList } from './useTaskList';

const route = getRouteApi('/tasks');
const minute = 60_000;
/** What can be cleared where nothing is filtered. */
const everythingInProgress = 'completionStatus isnull';

export function TasksPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const mayEnd = useRight('endTasks') !== 'none';
  // Ranges that end now are as of the last refresh, so that pages belong together.
  const [asOf, setAsOf] = useState(() => Math.ceil(Date.now() / minute) * minute);
  const filters = useMemo(() => filterOf(search, asOf), [search, asOf]);
  const sorters = search.sort ?? '-created';
  const list = useTaskList(filters, sorters);
  const columns = useTaskColumns();
  const [selected, setSelected] = useState<string[]>([]);
  const [allMatching, setAllMatching] = useState(false);

  const change = (next: TaskSearch) => {
    setSelected([]);
    setAllMatching(false);
    void navigate({ search: next, resetScroll: false });
  };
  const refresh = () => {
    if (search.since !== undefined) setAsOf(Math.ceil(Date.now() / minute) * minute);
    void list.refresh();
  };
  const broken = isStatus(list.query.error, 400) ? list.query.error : null;
  return (
    <>
      <PageHead title="Tasks">
        <SavedViews search={search} onOpen={change} />
        <ColumnMenu columns={columns} />
        <ExportMenu filters={filters} sorters={sorters} total={list.total} />
      </PageHead>
      <FilterBar search={search} filters={filters} onChange={change} error={broken?.message ?? null} />
      <Group justify="space-between" mih={40} my={4} gap="xs">
        <Text size="sm" className="tabular" role="status">
          {list.total === null ? ' ' : `${list.total.toLocaleString('en')} ${list.total === 1 ? 'task' : 'tasks'}`}
        </Text>
        <Group gap="xs">
          {list.freshCount > 0 && (
            <Button size="compact-sm" variant="light" onClick={refresh}>
              {list.freshCount} new {list.freshCount === 1 ? 'task' : 'tasks'}
            </Button>
          )}
          <Button
            size="compact-sm"
            variant="subtle"
            color="gray"
            leftSection={<IconRefresh size={14} aria-hidden />}
            onClick={refresh}
            loading={list.query.isRefetching}
          >
            Refresh
          </Button>
        </Group>
      </Group>
      {mayEnd && selected.length > 0 && (
        <SelectionBar
          count={selected.length}
          total={list.total}
          pageIsSelected={list.items
            .filter((task) => task.completed === null)
            .every((task) => selected.includes(task.id))}
          allMatching={allMatching}
          onAllMatching={setAllMatching}
          filters={allMatching ? filters || everythingInProgress : idsFilter(selected)}
          onClose={() => {
            setSelected([]);
            setAllMatching(false);
          }}
          onDone={refresh}
        />
      )}
      <TaskTable
        list={list}
        columns={columns}
        sort={sorters}
        onSort={(sort) => change({ ...search, sort })}
        selected={mayEnd ? selected : null}
        onSelect={(ids) => {
          setSelected(ids);
          setAllMatching(false);
        }}
        search={search}
        onClearFilters={() => change(search.sort === undefined ? {} : { sort: search.sort })}
      />
      <Pager list={list} />
    </>
  );
}
