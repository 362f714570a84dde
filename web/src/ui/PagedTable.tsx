import { Button, Group, Table, Text } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import type { Page } from '../api/client';
import { Empty } from './Empty';
import { Loading } from './Loading';
import { Problem } from './Problem';
import { WideTable } from './WideTable';

export const pageSize = 50;

interface PagedTableProps<T> {
  /** What the rows are, in the plural. */
  what: string;
  queryKey: unknown[];
  read: (query: { limit: number; offset: number; count: true }, signal: AbortSignal) => Promise<Page<T>>;
  head: string[];
  /** The cells of a row, one for each of the head. */
  row: (item: T) => ReactNode[];
  keyOf: (item: T) => string;
  /** Stands there where there are no rows. */
  empty?: ReactNode;
  minWidth?: number;
}

/** A list that the API pages by offset. */
export function PagedTable<T>({ what, queryKey, read, head, row, keyOf, empty, minWidth = 480 }: PagedTableProps<T>) {
  const [offset, setOffset] = useState(0);
  const query = useQuery({
    queryKey: [...queryKey, offset],
    queryFn: ({ signal }) => read({ limit: pageSize, offset, count: true }, signal),
    placeholderData: keepPreviousData,
  });
  if (query.isPending) return <Loading />;
  if (query.isError)
    return <Problem title={`The ${what} cannot be shown`} error={query.error} retry={() => void query.refetch()} />;
  const { items, total } = query.data;
  if (items.length === 0) return empty ?? <Empty title={`There are no ${what}`} />;
  const last = offset + items.length;
  return (
    <>
      <WideTable label={what} scrollBelow={minWidth}>
        <Table.Thead>
          <Table.Tr>
            {head.map((label) => (
              <Table.Th key={label}>{label}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {items.map((item) => (
            <Table.Tr key={keyOf(item)}>
              {row(item).map((cell, index) => (
                <Table.Td key={head[index]} style={{ overflowWrap: 'break-word' }}>
                  {cell}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </WideTable>
      <Group component="nav" aria-label={`Pages of the ${what}`} justify="flex-end" gap="xs" mt="sm">
        <Text size="sm" className="tabular">
          {(offset + 1).toLocaleString('en')} to {last.toLocaleString('en')} of {(total ?? last).toLocaleString('en')}
        </Text>
        <Button size="xs" variant="default" disabled={offset === 0} onClick={() => setOffset(offset - pageSize)}>
          Previous
        </Button>
        <Button size="xs" variant="default" disabled={last >= (total ?? last)} onClick={() => setOffset(last)}>
          Next
        </Button>
      </Group>
    </>
  );
}
