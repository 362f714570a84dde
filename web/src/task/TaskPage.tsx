import { Alert, Button, Group, Stack, Tabs, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { IconArrowLeft } from '@tabler/icons-react';
import { isStatus } from '../api/client';
import type { TaskWithHistory } from '../api/types';
import { useTaskEvents } from '../live/live';
import { useMayEnd } from '../session/session';
import { taskQuery } from '../tasks/queries';
import { idsFilter } from '../tasks/search';
import { Empty } from '../ui/Empty';
import { Loading } from '../ui/Loading';
import { PageHead } from '../ui/PageHead';
import { Problem } from '../ui/Problem';
import { lookOf, StatusMark } from '../ui/status';
import { TextLink } from '../ui/TextLink';
import { Attributes } from './Attributes';
import { CancelDialog } from './CancelDialog';
import { ClearDialog } from './ClearDialog';
import { Facts } from './Facts';
import { History } from './History';
import { Messages } from './Messages';
import { Raw } from './Raw';
import { Timeline } from './Timeline';

const route = getRouteApi('/tasks/$id');

export function TaskPage() {
  const { id } = route.useParams();
  const query = useQuery(taskQuery(id));
  const queryClient = useQueryClient();
  const { queryKey } = taskQuery(id);
  const refresh = () => void queryClient.invalidateQueries({ queryKey });
  useTaskEvents(query.isSuccess ? idsFilter([id]) : null, {
    onTask: (task) => {
      queryClient.setQueryData(queryKey, (before) => before && { ...task, history: before.history });
      refresh(); // for its history
    },
    onGap: refresh,
  });
  return (
    <>
      <TextLink to="/tasks">
        <Group gap={4} component="span">
          <IconArrowLeft size={14} aria-hidden /> All tasks
        </Group>
      </TextLink>
      <TaskBody query={query} />
    </>
  );
}

function TaskBody({ query }: { query: ReturnType<typeof useQuery<TaskWithHistory>> }) {
  if (query.data) return <TaskDetails task={query.data} />;
  if (query.isPending) {
    return (
      <>
        <PageHead title="Task" />
        <Loading rows={6} height={56} />
      </>
    );
  }
  if (isStatus(query.error, 404)) {
    return (
      <Empty title="There is no such task">
        It was never there, or the end of its retention has deleted it.{' '}
        <TextLink to="/tasks">Look at all tasks</TextLink>
      </Empty>
    );
  }
  return <Problem title="The task cannot be shown" error={query.error} retry={() => void query.refetch()} />;
}

function TaskDetails({ task }: { task: TaskWithHistory }) {
  const mayEnd = useMayEnd()(task);
  const [clearing, clearDialog] = useDisclosure();
  const [cancelling, cancelDialog] = useDisclosure();
  return (
    <Stack gap="lg">
      <div>
        <PageHead title={task.uniqueName} mark={<StatusMark look={lookOf(task)} size={22} label />}>
          {mayEnd && (
            <>
              <Button size="xs" variant="default" onClick={cancelDialog.open} disabled={task.cancelRequested !== null}>
                {task.cancelRequested === null ? 'Cancel…' : 'Cancel requested'}
              </Button>
              <Button size="xs" color="red" onClick={clearDialog.open}>
                Clear…
              </Button>
            </>
          )}
        </PageHead>
        {task.description !== '' && (
          <Text size="sm" c="dimmed">
            {task.description}
          </Text>
        )}
      </div>
      {task.waiting !== null && (
        <Alert color="blue" title="It waits">
          {task.waiting}
        </Alert>
      )}
      <Facts task={task} />
      <Timeline task={task} />
      <Messages task={task} />
      <Tabs defaultValue="history" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="history">History</Tabs.Tab>
          <Tabs.Tab value="attributes">Counts and attributes</Tabs.Tab>
          <Tabs.Tab value="raw">JSON and curl</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="history" pt="md">
          <History events={task.history} />
        </Tabs.Panel>
        <Tabs.Panel value="attributes" pt="md">
          <Attributes task={task} />
        </Tabs.Panel>
        <Tabs.Panel value="raw" pt="md">
          <Raw task={task} />
        </Tabs.Panel>
      </Tabs>
      {clearing && (
        <ClearDialog filters={idsFilter([task.id])} onClose={clearDialog.close} onDone={clearDialog.close} />
      )}
      {cancelling && <CancelDialog task={task} onClose={cancelDialog.close} />}
    </Stack>
  );
}
