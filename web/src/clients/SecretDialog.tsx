import { Alert, Button, Group, Modal, Stack, Text } from '@mantine/core';
import { Copyable } from '../ui/Copyable';
import type { ClientWithSecret } from './sorts';

/** Shows a secret, which nobody can ask for again. */
export function SecretDialog({ client, onClose }: { client: ClientWithSecret; onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title={client.name} size="lg" closeOnClickOutside={false}>
      <Stack>
        <Alert color="yellow" title="This secret is shown once. Keep it before you go on." />
        <div>
          <Text size="sm">Client ID</Text>
          <Copyable label="client ID" text={client.id} />
        </div>
        <div>
          <Text size="sm">Client secret</Text>
          <Copyable label="client secret" text={client.secret} />
        </div>
        <Group justify="flex-end">
          <Button onClick={onClose}>I have kept it</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
