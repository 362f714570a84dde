import { Alert, Button, Code, Group, Modal, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, bodyOf } from '../api/client';
import type { Source } from '../api/types';
import { useRight, useRightOn } from '../session/session';
import { Problem } from '../ui/Problem';
import { fieldsOf, SourceForm, sourceOf } from './SourceForm';

/** How a source is read; whoever may changes it here, or deletes it. */
export function SourceSettings({ source }: { source: Source }) {
  const mayChange = useRightOn('changeSources')(source.id);
  const mayDelete = useRight('manageSources') === 'all';
  const [fields, setFields] = useState(() => fieldsOf(source));
  const [deleting, dialog] = useDisclosure();
  const queryClient = useQueryClient();
  const save = useMutation({
    mutationFn: () => {
      const { name, description, connectorAttributes, deletionThreshold } = sourceOf(fields);
      const body = { name, description, connectorAttributes, deletionThreshold };
      return bodyOf(api.PATCH('/stint/v1/sources/{id}', { params: { path: { id: source.id } }, body }));
    },
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['sources'] }),
  });
  const { columns } = source.connectorAttributes;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Stack maw={640}>
        <SourceForm fields={fields} onChange={setFields} disabled={!mayChange} />
        {columns.length > 0 && (
          <Text size="sm" c="dimmed">
            Columns of its files: <Code>{columns.join(', ')}</Code>
          </Text>
        )}
        {save.isError && <Problem title="It was not changed" error={save.error} />}
        {save.isSuccess && <Alert color="green" title="Changed. The next aggregation goes by it." />}
        <Group justify="space-between">
          {mayDelete && (
            <Button color="red" variant="light" onClick={dialog.open}>
              Delete the source…
            </Button>
          )}
          {mayChange && (
            <Button type="submit" loading={save.isPending}>
              Save
            </Button>
          )}
        </Group>
      </Stack>
      {deleting && <DeleteDialog source={source} onClose={dialog.close} />}
    </form>
  );
}

function DeleteDialog({ source, onClose }: { source: Source; onClose: () => void }) {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const remove = useMutation({
    mutationFn: () => bodyOf(api.DELETE('/stint/v1/sources/{id}', { params: { path: { id: source.id } } })),
    onSuccess: async () => {
      await navigate({ to: '/sources' });
      queryClient.removeQueries({ queryKey: ['sources', 'one', source.id] });
      await queryClient.invalidateQueries({ queryKey: ['sources', 'list'] });
    },
  });
  return (
    <Modal opened onClose={onClose} title={`Delete ${source.name}`}>
      <Stack>
        <Text size="sm">
          Its {source.accountCount.toLocaleString('en')} accounts and {source.entitlementCount.toLocaleString('en')}{' '}
          entitlements are deleted for good. An aggregation in progress ends as Terminated. Its tasks stay listed until
          their retention ends.
        </Text>
        {remove.isError && <Problem error={remove.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Keep it
          </Button>
          <Button color="red" loading={remove.isPending} onClick={() => remove.mutate()}>
            Delete {source.name}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
