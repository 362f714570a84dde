import { Group, Paper, Stack, Text, Title } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import type { Page } from '../api/client';
import type { Task } from '../api/types';
import { Time } from '../time/Time';
import { Loading } from '../ui/Loading';
import { StatusMark } from '../ui/status';
import { TextLink } from '../ui/TextLink';
import { groupFailures, type FailureGroup } from './judge';

/** How many tasks stand under a message. */
const most = 3;

/** What went wrong in the last 24 hours, by what it says. */
export function Failures({ query }: { query: UseQueryResult<Page<Task>> }) {
  const { data } = query;
  return (
    <section id="failures" aria-labelledby="failures-title">
      <Title order={2} size="h4" mb="xs" id="failures-title">
        Failures of the last 24 hours
      </Title>
      <Paper withBorder p="sm">
        {query.isPending && <Loading rows={3} />}
        {data?.items.length === 0 && (
          <Text size="sm" c="dimmed">
            Nothing has failed.
          </Text>
        )}
        {data && data.items.length > 0 && (
          <Stack gap="md">
            {groupFailures(data.items).map((group) => (
              <GroupRow key={group.message} group={group} />
            ))}
            {data.total !== null && data.total > data.items.length && (
              <Text size="xs" c="dimmed">
                Of {data.total.toLocaleString('en')}, these are the newest {data.items.length}.
              </Text>
            )}
          </Stack>
        )}
      </Paper>
    </section>
  );
}

function GroupRow({ group }: { group: FailureGroup }) {
  return (
    <div>
      <Group gap={8} wrap="nowrap" align="flex-start">
        <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere', flex: 1 }}>
          {group.message}
        </Text>
        <Text size="sm" className="tabular">
          {group.count} {group.count === 1 ? 'time' : 'times'}
        </Text>
      </Group>
      <Stack gap={2} mt={4}>
        {group.tasks.slice(0, most).map((task) => (
          <Group key={task.id} gap={8} wrap="nowrap" justify="space-between">
            <Group gap={6} wrap="nowrap" miw={0}>
              <StatusMark look={task.completionStatus ?? 'ERROR'} label size={12} />
              <TextLink to="/tasks/$id" params={{ id: task.id }} truncate>
                {task.uniqueName}
              </TextLink>
            </Group>
            <Text size="xs" c="dimmed">
              <Time value={task.completed} ago />
            </Text>
          </Group>
        ))}
        {group.count > most && (
          <Text size="xs" c="dimmed">
            and {group.count - most} more
          </Text>
        )}
      </Stack>
    </div>
  );
}
