import { Badge, Group, Paper, Stack, Text, Title } from '@mantine/core';
import type { Task, TaskMessage } from '../api/types';
import { Copyable } from '../ui/Copyable';

type MessageType = TaskMessage['type'];

const order: MessageType[] = ['ERROR', 'WARN', 'INFO'];
const colors: Record<MessageType, string> = { ERROR: 'red', WARN: 'yellow', INFO: 'gray' };
const names: Record<MessageType, string> = { ERROR: 'Error', WARN: 'Warning', INFO: 'Note' };

/** Where the message of a failed program begins to quote what it has written. */
const outputMark = '\nLast output:\n';

/** What a task has to say, errors first. */
export function Messages({ task }: { task: Task }) {
  if (task.messages.length === 0) return null;
  const sorted = task.messages.toSorted((a, b) => order.indexOf(a.type) - order.indexOf(b.type));
  return (
    <section aria-label="Messages">
      <Title order={2} size="h4" mb="xs">
        Messages ({task.messages.length})
      </Title>
      <Stack gap="xs">
        {sorted.map((message, index) => (
          <Message key={index} message={message} />
        ))}
      </Stack>
    </section>
  );
}

function Message({ message }: { message: TaskMessage }) {
  const [text, output] = split(message.localizedText.message);
  return (
    <Paper withBorder p="xs">
      <Group gap="sm" wrap="nowrap" align="flex-start">
        <Badge color={colors[message.type]} variant="light" miw={76}>
          {names[message.type]}
        </Badge>
        <Text size="sm" style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
          {text}
        </Text>
      </Group>
      {output !== null && (
        <Stack gap={4} mt="xs">
          <Text size="xs" c="dimmed">
            The last that the program wrote
          </Text>
          <Copyable text={output} label="output of the program" maxHeight={320} />
        </Stack>
      )}
    </Paper>
  );
}

function split(text: string): [string, string | null] {
  const at = text.indexOf(outputMark);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + outputMark.length)];
}
