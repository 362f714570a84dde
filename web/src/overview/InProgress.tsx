import { Group, Paper, Progress, Stack, Text, Title } from '@mantine/core';
import type { Task } from '../api/types';
import { rowLink } from '../app/useKeyboard';
import { formatDuration } from '../time/format';
import { Elapsed } from '../time/Elapsed';
import { lookOf, StatusMark } from '../ui/status';
import { TextLink } from '../ui/TextLink';

/** How many are shown before the list takes over. */
const most = 8;

interface InProgressProps {
  id: string;
  title: string;
  tasks: Task[];
  usual: (task: Task) => number | null;
  empty: string;
}

/** Tasks under way, with how far they are. */
export function InProgress({ id, title, tasks, usual, empty }: InProgressProps) {
  return (
    <section id={id} aria-labelledby={`${id}-title`}>
      <Title order={2} size="h4" mb="xs" id={`${id}-title`}>
        {title}
      </Title>
      <Paper withBorder p="sm">
        <Stack gap="sm">
          {tasks.length === 0 && (
            <Text size="sm" c="dimmed">
              {empty}
            </Text>
          )}
          {tasks.slice(0, most).map((task) => (
            <Row key={task.id} task={task} usual={usual(task)} />
          ))}
          {tasks.length > most && (
            <TextLink to="/tasks" search={{ status: ['IN_PROGRESS'], sort: 'created' }}>
              {(tasks.length - most).toLocaleString('en')} more
            </TextLink>
          )}
        </Stack>
      </Paper>
    </section>
  );
}

function Row({ task, usual }: { task: Task; usual: number | null }) {
  const words = task.state === 'queued' ? (task.waiting ?? 'Queued') : (task.progress ?? 'Running');
  return (
    <div>
      <Group gap={8} wrap="nowrap" justify="space-between">
        <Group gap={8} wrap="nowrap" miw={0}>
          <StatusMark look={lookOf(task)} label />
          <TextLink to="/tasks/$id" params={{ id: task.id }} truncate {...rowLink}>
            {task.uniqueName}
          </TextLink>
        </Group>
        <Text size="sm" className="tabular" title={usual === null ? undefined : `usually ${formatDuration(usual)}`}>
          <Elapsed from={task.launched ?? task.created} to={null} />
        </Text>
      </Group>
      <Progress
        value={task.percentComplete}
        size="sm"
        mt={4}
        aria-label={`${task.uniqueName}: ${task.percentComplete} percent`}
      />
      <Text size="xs" c="dimmed" truncate title={words}>
        {task.percentComplete} % · {words}
      </Text>
    </div>
  );
}
