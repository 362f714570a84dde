import { Alert, Button, Group, Paper, Stack, Text } from '@mantine/core';
import type { Task } from '../api/types';
import { TaskProgress } from '../tasks/columns';
import { Elapsed } from '../time/Elapsed';
import { Time } from '../time/Time';
import { lookOf, StatusLabel } from '../ui/status';
import { TextLink } from '../ui/TextLink';
import type { AggregateStart } from './AggregateDialog';

interface LastRunProps {
  task: Task;
  /** Begins an aggregation that lets deletions pass; null for who may not. */
  onAllow: ((start: AggregateStart) => void) | null;
}

/** The last aggregation: how it is doing, and what it held back. */
export function LastRun({ task, onAllow }: LastRunProps) {
  const withheld = withheldBy(task);
  return (
    <Paper withBorder p="md">
      <Stack gap="xs">
        <Group gap="md">
          <Text fw={600}>Last run</Text>
          <StatusLabel look={lookOf(task)} />
          <TextLink to="/tasks/$id" params={{ id: task.id }}>
            {task.uniqueName}
          </TextLink>
          <Text size="sm" c="dimmed">
            <Time value={task.created} ago /> · <Elapsed from={task.launched} to={task.completed} />
          </Text>
        </Group>
        {(task.completed === null || task.progress !== null) && <TaskProgress task={task} />}
        {withheld !== null && (
          <Alert color="yellow" title={`${withheld.count.toLocaleString('en')} deletions were withheld`}>
            <Stack gap="xs" align="flex-start">
              <Text size="sm">{withheld.text}</Text>
              {onAllow !== null && (
                <Button
                  size="xs"
                  variant="default"
                  onClick={() => onAllow({ kind: kindOf(task), allowDeletions: withheld.count })}
                >
                  Upload the file again and let them pass…
                </Button>
              )}
            </Stack>
          </Alert>
        )}
      </Stack>
    </Paper>
  );
}

function kindOf(task: Task): AggregateStart['kind'] {
  return task.kind === 'CLOUD_ACCOUNT_AGGREGATION' ? 'accounts' : 'entitlements';
}

/** How many deletions an aggregation has withheld; null for none. */
function withheldBy(task: Task): { count: number; text: string } | null {
  const message = task.messages.find((m) => m.key === 'deletions_withheld');
  const count = Number(message?.parameters?.[0]);
  return message === undefined || !(count > 0) ? null : { count, text: message.localizedText.message };
}
