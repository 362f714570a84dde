import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { ReasonInput } from '../task/ReasonInput';
import { Problem } from '../ui/Problem';
import type { Client, ClientSort, ClientWithSecret } from './sorts';

interface DialogProps<T> {
  sort: ClientSort;
  client: Client;
  onClose: () => void;
  onDone: (result: T) => void;
}

/** Gives a client another secret. */
export function RotateDialog({ sort, client, onClose, onDone }: DialogProps<ClientWithSecret>) {
  const [reason, setReason] = useState('');
  const rotate = useMutation({ mutationFn: () => sort.rotate(client.id, reason.trim()), onSuccess: onDone });
  return (
    <Modal opened onClose={onClose} title={`A new secret for ${client.name}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          rotate.mutate();
        }}
      >
        <Stack>
          <Text size="sm">
            The old secret is good for nothing from now on, and sessions of the console that it began end. Access tokens
            live on until they expire.
          </Text>
          <ReasonInput value={reason} onChange={setReason} />
          {rotate.isError && <Problem error={rotate.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Keep the old one
            </Button>
            <Button type="submit" loading={rotate.isPending} disabled={reason.trim() === ''}>
              Make a new secret
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** Ends a client for good. */
export function RevokeDialog({ sort, client, onClose, onDone }: DialogProps<Client>) {
  const revoke = useMutation({ mutationFn: () => sort.revoke(client.id), onSuccess: onDone });
  return (
    <Modal opened onClose={onClose} title={`Revoke ${client.name}`}>
      <Stack>
        <Text size="sm">
          This {sort.one} ends for good, and with it its access tokens and its sessions, everywhere within two seconds.
          It stays listed.
        </Text>
        {revoke.isError && <Problem error={revoke.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Keep it
          </Button>
          <Button color="red" loading={revoke.isPending} onClick={() => revoke.mutate()}>
            Revoke
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
