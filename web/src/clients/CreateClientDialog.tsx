import { Button, Group, Modal, MultiSelect, Stack, TagsInput, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { Scope, UserLevel } from '../api/types';
import { useTimeZone } from '../settings/settings';
import { fromInputTime } from '../time/format';
import { Problem } from '../ui/Problem';
import type { ClientSort, ClientWithSecret, NewClient } from './sorts';

const levels: UserLevel[] = [
  'ORG_ADMIN',
  'HELPDESK',
  'CERT_ADMIN',
  'REPORT_ADMIN',
  'ROLE_ADMIN',
  'ROLE_SUBADMIN',
  'SOURCE_ADMIN',
  'SOURCE_SUBADMIN',
];

const scopes: Scope[] = [
  'sp:scopes:all',
  'idn:task-management:read',
  'idn:task-management:write',
  'idn:sources:read',
  'idn:sources:manage',
  'idn:accounts:read',
  'idn:entitlement:read',
  'idn:entitlement:manage',
  'sp:all-personal-access-tokens:manage',
  'sp:oauth-client:manage',
  'stint:audit:read',
];

const nothing: NewClient = { name: '', user: '', levels: [], scopes: ['sp:scopes:all'], sources: [], expires: null };

interface CreateClientDialogProps {
  sort: ClientSort;
  onClose: () => void;
  onDone: (client: ClientWithSecret) => void;
}

export function CreateClientDialog({ sort, onClose, onDone }: CreateClientDialogProps) {
  const [client, setClient] = useState(nothing);
  const [zone] = useTimeZone();
  const change = (changes: Partial<NewClient>) => setClient({ ...client, ...changes });
  const create = useMutation({ mutationFn: () => sort.create(client), onSuccess: onDone });
  const limited = client.levels.some((level) => level === 'SOURCE_SUBADMIN' || level === 'ROLE_SUBADMIN');
  return (
    <Modal opened onClose={onClose} title={`Create ${sort.hasUser ? 'a' : 'an'} ${sort.one}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <Stack>
          {sort.hasUser && (
            <>
              <TextInput
                label="User"
                description="Whom it acts for"
                required
                value={client.user}
                onChange={(event) => change({ user: event.currentTarget.value })}
                data-autofocus
              />
              <MultiSelect
                label="Levels"
                required
                data={levels}
                value={client.levels}
                onChange={(chosen) => change({ levels: chosen })}
              />
            </>
          )}
          {limited && (
            <TagsInput
              label="Ids of the sources it may act on"
              value={client.sources}
              onChange={(sources) => change({ sources })}
            />
          )}
          <TextInput
            label="Name"
            description={sort.hasUser ? 'What people call it; without it, the user' : 'What people call it'}
            required={!sort.hasUser}
            value={client.name}
            onChange={(event) => change({ name: event.currentTarget.value })}
          />
          <MultiSelect
            label="Scopes"
            required
            data={scopes}
            value={client.scopes}
            onChange={(chosen) => change({ scopes: chosen })}
          />
          <TextInput
            type="datetime-local"
            label={`Ends at (${zone === 'utc' ? 'UTC' : 'local time'})`}
            description="Without it, never"
            onChange={(event) => change({ expires: fromInputTime(event.currentTarget.value, zone) ?? null })}
          />
          {create.isError && <Problem error={create.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Leave it
            </Button>
            <Button type="submit" loading={create.isPending}>
              Create
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
