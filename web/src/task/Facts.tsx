import { Paper, Progress, SimpleGrid, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Task } from '../api/types';
import { KindName } from '../tasks/KindName';
import { Elapsed } from '../time/Elapsed';
import { Time } from '../time/Time';
import { lookOf, StatusLabel } from '../ui/status';
import { TextLink } from '../ui/TextLink';

/** What there is to know of a task at a glance. */
export function Facts({ task }: { task: Task }) {
  return (
    <Paper withBorder p="md">
      <SimpleGrid component="dl" cols={{ base: 2, sm: 3, lg: 5 }} m={0}>
        <Fact label="Status">
          <StatusLabel look={lookOf(task)} />
        </Fact>
        <Fact label="Type">
          <TextLink to="/tasks" search={{ type: [task.kind] }}>
            <KindName kind={task.kind} />
          </TextLink>
        </Fact>
        <Fact label="Source">
          <SourceLink task={task} />
        </Fact>
        <Fact label="Launched by">{task.launcher}</Fact>
        <Fact label="Created">
          <Time value={task.created} />
        </Fact>
        <Fact label="Took">
          <Elapsed from={task.launched} to={task.completed} />
        </Fact>
        <Fact label="Ended">
          <Time value={task.completed} />
        </Fact>
        <Fact label="Attempt">{task.attempt}</Fact>
        <Fact label="Last heard of">
          <Time value={task.lastHeartbeat} ago={task.completed === null} />
        </Fact>
        <Fact label="Progress">{task.progress ?? '–'}</Fact>
      </SimpleGrid>
      {task.completed === null && (
        <Progress mt="md" value={task.percentComplete} aria-label={`${task.percentComplete} percent`} />
      )}
    </Paper>
  );
}

function SourceLink({ task }: { task: Task }) {
  const name = task.target?.name ?? task.sourceId;
  if (name === null) return <>–</>;
  // Only ids of Stint's own sources are ones that it can show.
  if (task.sourceId === null || !/^[0-9a-f]{32}$/.test(task.sourceId)) return <>{name}</>;
  return (
    <TextLink to="/sources/$id" params={{ id: task.sourceId }}>
      {name}
    </TextLink>
  );
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <Text component="dt" size="xs" c="dimmed">
        {label}
      </Text>
      <Text component="dd" size="sm" m={0} style={{ overflowWrap: 'anywhere' }}>
        {children}
      </Text>
    </div>
  );
}
