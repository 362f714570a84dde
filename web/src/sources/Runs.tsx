import { Stack, Table } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import type { Page } from '../api/client';
import type { Task } from '../api/types';
import { rowLink } from '../app/useKeyboard';
import { Elapsed } from '../time/Elapsed';
import { Time } from '../time/Time';
import { Empty } from '../ui/Empty';
import { Loading } from '../ui/Loading';
import { Problem } from '../ui/Problem';
import { lookOf, StatusLabel } from '../ui/status';
import { TextLink } from '../ui/TextLink';
import { WideTable } from '../ui/WideTable';

/** The newest runs of a source. */
export function Runs({ query, sourceId }: { query: UseQueryResult<Page<Task>>; sourceId: string }) {
  if (query.isPending) return <Loading rows={5} />;
  if (query.isError)
    return <Problem title="The runs cannot be shown" error={query.error} retry={() => void query.refetch()} />;
  const { items, total } = query.data;
  if (items.length === 0) return <Empty title="It never ran">Upload a file to aggregate its accounts.</Empty>;
  return (
    <Stack align="flex-start">
      <WideTable label="Runs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Status</Table.Th>
            <Table.Th>Run</Table.Th>
            <Table.Th>Created</Table.Th>
            <Table.Th visibleFrom="sm">Duration</Table.Th>
            <Table.Th visibleFrom="md">Result</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {items.map((task) => (
            <Table.Tr key={task.id}>
              <Table.Td>
                <StatusLabel look={lookOf(task)} />
              </Table.Td>
              <Table.Td>
                <TextLink to="/tasks/$id" params={{ id: task.id }} {...rowLink}>
                  {task.uniqueName}
                </TextLink>
              </Table.Td>
              <Table.Td>
                <Time value={task.created} />
              </Table.Td>
              <Table.Td visibleFrom="sm">
                <Elapsed from={task.launched} to={task.completed} />
              </Table.Td>
              <Table.Td visibleFrom="md">{task.progress ?? '–'}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </WideTable>
      {total !== null && total > items.length && (
        <TextLink to="/tasks" search={{ source: [sourceId] }}>
          All {total.toLocaleString('en')} runs
        </TextLink>
      )}
    </Stack>
  );
}
