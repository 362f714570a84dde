import { Badge, Group, Stack, Switch, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useState } from 'react';
import { api, pageOf, type Page } from '../api/client';
import type { Change } from '../api/types';
import { searchField } from '../app/useKeyboard';
import { quoted } from '../tasks/search';
import { Time } from '../time/Time';
import { PagedTable } from '../ui/PagedTable';

interface ContentsProps {
  sourceId: string;
  /** The id of the last run; null where there was none. */
  lastRun: string | null;
}

interface Row {
  id: string;
  nativeIdentity: string;
  name: string;
  modified: string;
  lastChange: 'CREATED' | 'UPDATED';
}

export function Accounts(props: ContentsProps) {
  return (
    <Contents
      {...props}
      what="accounts"
      read={(query, signal) => pageOf(api.GET('/stint/v1/accounts', { params: { query }, signal }))}
    />
  );
}

export function Entitlements(props: ContentsProps) {
  return (
    <Contents
      {...props}
      what="entitlements"
      read={(query, signal) => pageOf(api.GET('/stint/v1/entitlements', { params: { query }, signal }))}
    />
  );
}

interface ListQuery {
  filters: string;
  limit: number;
  offset: number;
  count: boolean;
}

interface ReadProps extends ContentsProps {
  what: 'accounts' | 'entitlements';
  read: (query: ListQuery, signal: AbortSignal) => Promise<Page<Row>>;
}

/** What a source holds, and what its last run has changed of it. */
function Contents({ sourceId, lastRun, what, read }: ReadProps) {
  const [changedOnly, setChangedOnly] = useState(false);
  const [name, setName] = useState('');
  const [settled] = useDebouncedValue(name.trim(), 350);
  return (
    <Stack>
      <Group>
        {!changedOnly && (
          <TextInput
            size="xs"
            type="search"
            aria-label="Name begins with"
            placeholder="Name begins with…"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            {...searchField}
          />
        )}
        {lastRun !== null && (
          <Switch
            size="sm"
            label="What the last run changed"
            checked={changedOnly}
            onChange={(event) => setChangedOnly(event.currentTarget.checked)}
          />
        )}
      </Group>
      {changedOnly && lastRun !== null ? (
        <Changes taskId={lastRun} />
      ) : (
        <Stored key={settled} what={what} filters={filtersOf(sourceId, settled)} read={read} />
      )}
    </Stack>
  );
}

function filtersOf(sourceId: string, name: string): string {
  const all = `sourceId eq ${quoted(sourceId)}`;
  return name === '' ? all : `${all} and name sw ${quoted(name)}`;
}

function Stored({ what, filters, read }: Pick<ReadProps, 'what' | 'read'> & { filters: string }) {
  return (
    <PagedTable
      what={what}
      queryKey={[what, filters]}
      read={(query, signal) => read({ ...query, filters }, signal)}
      head={['Name', 'Id on the source', 'Changed', 'By']}
      row={(item) => [
        item.name,
        item.nativeIdentity,
        <Time key="modified" value={item.modified} />,
        <ChangeBadge key="change" change={item.lastChange} />,
      ]}
      keyOf={(item) => item.id}
    />
  );
}

/** What a run has created, updated and deleted. */
export function Changes({ taskId }: { taskId: string }) {
  return (
    <PagedTable
      what="changes"
      queryKey={['tasks', 'changes', taskId]}
      read={(query, signal) =>
        pageOf(api.GET('/stint/v1/tasks/{id}/changes', { params: { path: { id: taskId }, query }, signal }))
      }
      head={['Change', 'Name', 'Id on the source', 'Attributes that differ']}
      row={(item: Change) => [
        <ChangeBadge key="change" change={item.change} />,
        item.name,
        item.nativeIdentity,
        item.changedAttributes?.join(', ') ?? '',
      ]}
      keyOf={(item) => `${item.change} ${item.attribute ?? ''} ${item.nativeIdentity}`}
    />
  );
}

const changeColors: Record<Change['change'], string> = { CREATED: 'green', UPDATED: 'blue', DELETED: 'red' };
const changeNames: Record<Change['change'], string> = { CREATED: 'Created', UPDATED: 'Updated', DELETED: 'Deleted' };

function ChangeBadge({ change }: { change: Change['change'] }) {
  return (
    <Badge color={changeColors[change]} variant="light">
      {changeNames[change]}
    </Badge>
  );
}
