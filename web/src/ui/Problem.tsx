import { Alert, Button, Code, Group, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { ApiError } from '../api/client';

interface ProblemProps {
  error: unknown;
  /** What did not work, like "The tasks cannot be shown". */
  title?: string;
  retry?: () => void;
}

/** Says what went wrong, under which id the server's log has it, and what to do. */
export function Problem({ error, title = 'This did not work', retry }: ProblemProps) {
  const known = error instanceof ApiError ? error : undefined;
  return (
    <Alert color="red" title={title} icon={<IconAlertTriangle aria-hidden />} role="alert">
      <Stack gap="xs" align="flex-start">
        <Text size="sm">{error instanceof Error ? error.message : String(error)}</Text>
        {adviceFor(known)}
        <Group gap="sm">
          {retry && (
            <Button size="xs" variant="default" onClick={retry}>
              Try again
            </Button>
          )}
          {known !== undefined && known.status >= 500 && known.trackingId !== '' && (
            <Text size="xs" c="dimmed">
              In the server&apos;s log under <Code>{known.trackingId}</Code>
            </Text>
          )}
        </Group>
      </Stack>
    </Alert>
  );
}

function adviceFor(error: ApiError | undefined) {
  if (error?.status === 429) return <Text size="sm">Too many requests came from you. Wait a few seconds.</Text>;
  if (error?.status === 403) return <Text size="sm">An administrator can give you a token that may.</Text>;
  return null;
}
