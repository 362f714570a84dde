import { Stack, Text } from '@mantine/core';
import type { TaskWithHistory } from '../api/types';
import { Copyable } from '../ui/Copyable';

/** The task as the API has it, and how a script gets it. */
export function Raw({ task }: { task: TaskWithHistory }) {
  const url = `${location.origin}/stint/v1/tasks/${task.id}`;
  return (
    <Stack>
      <Text size="sm">
        With an access token (<code>stint access-token</code>) in <code>$token</code>:
      </Text>
      <Copyable label="curl line" text={`curl -s -H "Authorization: Bearer $token" ${url}`} />
      <Copyable label="JSON of the task" text={JSON.stringify(task, null, 2)} maxHeight={560} />
    </Stack>
  );
}
