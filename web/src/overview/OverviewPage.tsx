import { SimpleGrid, Stack } from '@mantine/core';
import { useThrottledCallback } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Page } from '../api/client';
import type { Task } from '../api/types';
import { useTaskEvents } from '../live/live';
import { useNow } from '../time/useNow';
import { Loading } from '../ui/Loading';
import { PageHead } from '../ui/PageHead';
import { Problem } from '../ui/Problem';
import { Failures } from './Failures';
import { InProgress } from './InProgress';
import { Jobs } from './Jobs';
import { isTooLong, usualDurations } from './judge';
import { failuresQuery, inProgressQuery, jobsQuery } from './queries';
import { Summary } from './Summary';

const day = 24 * 60 * 60_000;
const atMostEvery = 5_000;

/** Whether last night went well, what went wrong, and what is under way. */
export function OverviewPage() {
  const [since] = useState(() => new Date(Date.now() - day).toISOString());
  const jobs = useQuery(jobsQuery);
  const inProgress = useQuery(inProgressQuery);
  const failures = useQuery(failuresQuery(since));
  const now = useNow(5_000);
  useOverviewEvents(jobs.isSuccess);

  const usual = usualDurations(jobs.data?.groups ?? []);
  const tasks = inProgress.data?.items ?? [];
  const late = tasks.filter((task) => isTooLong(task, usual(task), now));
  const onTime = tasks.filter((task) => !late.includes(task)).reverse();
  const failed = [jobs, inProgress, failures].find((query) => query.isError && !query.data);
  return (
    <Stack gap="lg">
      <div>
        <PageHead title="Overview" />
        {failed && (
          <Problem title="Some of this page cannot be shown" error={failed.error} retry={() => void failed.refetch()} />
        )}
        <Summary
          jobs={jobs.data?.groups ?? null}
          late={inProgress.data && jobs.data ? late.length : null}
          running={inProgress.data?.total ?? null}
          failures={failures.data?.total ?? null}
        />
      </div>
      {jobs.isPending ? (
        <Loading rows={10} height={30} />
      ) : (
        jobs.data && <Jobs jobs={jobs.data.groups} more={jobs.data.more} />
      )}
      <SimpleGrid cols={{ base: 1, md: 2, xl: 3 }} spacing="lg">
        <InProgress
          id="late"
          title="In progress too long"
          tasks={late}
          usual={usual}
          empty="Nothing takes longer than it should."
        />
        <InProgress id="running" title="Running now" tasks={onTime} usual={usual} empty="Nothing runs right now." />
        <Failures query={failures} />
      </SimpleGrid>
    </Stack>
  );
}

/** Keeps the page up to date: progress at once, and the rest a few seconds later at most. */
function useOverviewEvents(enabled: boolean) {
  const queryClient = useQueryClient();
  const refresh = useThrottledCallback(() => void queryClient.invalidateQueries({ queryKey: ['tasks'] }), atMostEvery);
  useTaskEvents(enabled ? '' : null, {
    onTask: (task) => {
      const before = queryClient.getQueryData(inProgressQuery.queryKey);
      const isKnown = before?.items.some((item) => item.id === task.id) ?? false;
      if (before && isKnown) queryClient.setQueryData(inProgressQuery.queryKey, withTask(before, task));
      if (!isKnown || task.completed !== null) refresh();
    },
    onGap: refresh,
  });
}

function withTask(page: Page<Task>, task: Task): Page<Task> {
  const items = page.items.map((item) => (item.id === task.id ? task : item));
  return { ...page, items: items.filter((item) => item.completed === null) };
}
