import { Badge, Button, Group, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { rowLink } from '../app/useKeyboard';
import { Time } from '../time/Time';
import { useNow } from '../time/useNow';
import { Empty } from '../ui/Empty';
import { PagedTable } from '../ui/PagedTable';
import { CreateClientDialog } from './CreateClientDialog';
import { RevokeDialog, RotateDialog } from './EndDialogs';
import { SecretDialog } from './SecretDialog';
import type { Client, ClientSort, ClientWithSecret } from './sorts';

type Doing = { what: 'create' } | { what: 'rotate' | 'revoke'; client: Client };

/** The list of a sort of clients, and what can be done with them. */
export function Clients({ sort }: { sort: ClientSort }) {
  const [doing, setDoing] = useState<Doing | null>(null);
  const [made, setMade] = useState<ClientWithSecret | null>(null);
  const queryClient = useQueryClient();
  const finish = (withSecret: ClientWithSecret | null) => {
    setDoing(null);
    setMade(withSecret);
    void queryClient.invalidateQueries({ queryKey: [sort.key] });
  };
  const close = () => setDoing(null);
  return (
    <>
      <Group justify="flex-end" mb="xs">
        <Button size="xs" onClick={() => setDoing({ what: 'create' })}>
          Create {sort.hasUser ? 'a' : 'an'} {sort.one}
        </Button>
      </Group>
      <PagedTable
        what={sort.many}
        queryKey={[sort.key]}
        read={sort.list}
        head={[
          'Name',
          ...(sort.hasUser ? ['User', 'Levels'] : []),
          'Scopes',
          'Created',
          'Last used',
          'State',
          'Actions',
        ]}
        row={(client) => [
          client.name,
          ...(sort.hasUser ? [client.user, client.levels?.join(', ')] : []),
          <Text key="scopes" size="xs">
            {client.scopes.join(', ')}
          </Text>,
          <Time key="created" value={client.created} />,
          <Time key="used" value={client.lastUsed} ago />,
          <State key="state" client={client} />,
          <Actions key="actions" client={client} onDo={setDoing} />,
        ]}
        keyOf={(client) => client.id}
        empty={<Empty title={`There are no ${sort.many}`} />}
        minWidth={900}
      />
      {doing?.what === 'create' && <CreateClientDialog sort={sort} onClose={close} onDone={finish} />}
      {doing?.what === 'rotate' && <RotateDialog sort={sort} client={doing.client} onClose={close} onDone={finish} />}
      {doing?.what === 'revoke' && (
        <RevokeDialog sort={sort} client={doing.client} onClose={close} onDone={() => finish(null)} />
      )}
      {made && <SecretDialog client={made} onClose={() => setMade(null)} />}
    </>
  );
}

function State({ client }: { client: Client }) {
  const now = useNow(60_000);
  if (client.revoked !== null)
    return (
      <Badge color="gray" variant="light">
        Revoked
      </Badge>
    );
  if (client.expires === null)
    return (
      <Badge color="green" variant="light">
        Good
      </Badge>
    );
  if (Date.parse(client.expires) <= now)
    return (
      <Badge color="gray" variant="light">
        Expired
      </Badge>
    );
  return (
    <Text size="xs">
      Good until <Time value={client.expires} />
    </Text>
  );
}

function Actions({ client, onDo }: { client: Client; onDo: (doing: Doing) => void }) {
  if (client.revoked !== null) return null;
  return (
    <Group gap={4} wrap="nowrap">
      <Button size="compact-xs" variant="subtle" onClick={() => onDo({ what: 'rotate', client })} {...rowLink}>
        New secret…
      </Button>
      <Button size="compact-xs" variant="subtle" color="red" onClick={() => onDo({ what: 'revoke', client })}>
        Revoke…
      </Button>
    </Group>
  );
}
