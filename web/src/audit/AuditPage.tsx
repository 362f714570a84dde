import { Button, Group, Modal, Select, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { api, pageOf } from '../api/client';
import type { AuditEntry } from '../api/types';
import type { AuditSearch } from '../app/router';
import { rowLink, searchField } from '../app/useKeyboard';
import { quoted } from '../tasks/search';
import { Time } from '../time/Time';
import { Copyable } from '../ui/Copyable';
import { Empty } from '../ui/Empty';
import { PageHead } from '../ui/PageHead';
import { PagedTable } from '../ui/PagedTable';
import { TextLink } from '../ui/TextLink';

const route = getRouteApi('/audit');

const actions: Record<string, string> = {
  'task.launch': 'Launched a task',
  'task.cancel': 'Cancelled a task',
  'task.clear': 'Cleared a task',
  'task.import': 'Imported tasks',
  'task.expire': 'Ended a task with its retention',
  'source.create': 'Created a source',
  'source.update': 'Changed a source',
  'source.delete': 'Deleted a source',
  'token.issue': 'Got an access token',
  'token.refuse': 'Was refused a token',
  'session.start': 'Signed in to the console',
  'client.create': 'Made a token or application',
  'client.rotate': 'Gave another secret',
  'client.revoke': 'Revoked a token or application',
  'key.rotate': 'Changed the signing key',
  'webhook.create': 'Created a webhook',
  'webhook.update': 'Changed a webhook',
  'webhook.delete': 'Deleted a webhook',
  'webhook.rotate': 'Gave a webhook another secret',
  'webhook.test': 'Tried a webhook',
  'webhook.redeliver': 'Delivered to a webhook again',
  'webhook.disable': 'Switched a webhook off',
};

export function AuditPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (changes: { [K in keyof AuditSearch]?: string | undefined }) => {
    const next = Object.entries({ ...search, ...changes }).filter(([, value]) => value !== undefined && value !== '');
    void navigate({ search: Object.fromEntries(next), replace: true });
  };
  const changeLater = useDebouncedCallback(change, 400);
  const filters = filtersOf(search);
  return (
    <>
      <PageHead title="Audit" />
      <Group gap="xs" mb="sm" align="flex-end" role="group" aria-label="Filters">
        <Select
          size="xs"
          label="What was done"
          placeholder="Anything"
          clearable
          clearButtonProps={{ 'aria-label': 'Anything that was done' }}
          data={Object.entries(actions).map(([value, label]) => ({ value, label }))}
          value={search.action ?? null}
          onChange={(action) => change({ action: action ?? undefined })}
        />
        <TextInput
          size="xs"
          label="Who"
          defaultValue={search.actor ?? ''}
          onChange={(event) => changeLater({ actor: event.currentTarget.value.trim() })}
          {...searchField}
        />
        <TextInput
          size="xs"
          label="Id of what was changed"
          defaultValue={search.object ?? ''}
          onChange={(event) => changeLater({ object: event.currentTarget.value.trim() })}
        />
      </Group>
      <Entries key={filters} filters={filters} />
    </>
  );
}

function filtersOf(search: AuditSearch): string {
  return (['action', 'actor', 'object'] as const)
    .flatMap((field) => (search[field] === undefined ? [] : [`${field} eq ${quoted(search[field])}`]))
    .join(' and ');
}

function Entries({ filters }: { filters: string }) {
  const [shown, setShown] = useState<AuditEntry | null>(null);
  return (
    <>
      <PagedTable
        what="entries"
        queryKey={['audit', filters]}
        read={(query, signal) =>
          pageOf(api.GET('/stint/v1/audit', { params: { query: { ...query, filters } }, signal }))
        }
        head={['When', 'Who', 'What', 'Object', 'Reason', 'From', 'Details']}
        row={(entry) => [
          <Time key="created" value={entry.created} />,
          entry.actor,
          actions[entry.action] ?? entry.action,
          <ObjectLink key="object" entry={entry} />,
          entry.reason,
          entry.address,
          <Button key="show" size="compact-xs" variant="subtle" onClick={() => setShown(entry)} {...rowLink}>
            Show
          </Button>,
        ]}
        keyOf={(entry) => entry.id}
        empty={<Empty title="No entry matches">Remove a filter to see more.</Empty>}
        minWidth={760}
      />
      <Modal opened={shown !== null} onClose={() => setShown(null)} title="Entry of the audit" size="xl">
        {shown && <Copyable label="entry" text={JSON.stringify(shown, null, 2)} maxHeight={600} />}
      </Modal>
    </>
  );
}

/** Leads to what an entry is about, where the console has a page for it. */
function ObjectLink({ entry }: { entry: AuditEntry }) {
  const short = entry.object.length > 20 ? `${entry.object.slice(0, 8)}…` : entry.object;
  if (entry.action.startsWith('task.') && entry.action !== 'task.import') {
    return (
      <TextLink to="/tasks/$id" params={{ id: entry.object }}>
        {short}
      </TextLink>
    );
  }
  if (entry.action.startsWith('source.')) {
    return (
      <TextLink to="/sources/$id" params={{ id: entry.object }}>
        {short}
      </TextLink>
    );
  }
  return <span title={entry.object}>{short}</span>;
}
