import { useInfiniteQuery, useQueryClient, type InfiniteData } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import type { Page } from '../api/client';
import type { Task, TaskSort } from '../api/types';
import { useTaskEvents } from '../live/live';
import { taskListQuery } from './queries';
import { idsFilter } from './search';

/**
 * A list of tasks that is up to date and does not jump: what it shows changes in place, and
 * what is new is counted until somebody asks for it.
 */
export function useTaskList(filters: string, sorters: TaskSort) {
  const options = taskListQuery(filters, sorters);
  const queryClient = useQueryClient();
  const query = useInfiniteQuery(options);
  const key = `${filters}\n${sorters}`;
  const [place, setPlace] = useState({ key, page: 0 });
  // Another list begins with its first page.
  if (place.key !== key) setPlace({ key, page: 0 });
  const pageIndex = Math.min(place.page, Math.max(0, (query.data?.pages.length ?? 1) - 1));
  const page = query.data?.pages[pageIndex];

  const ids = useMemo(() => (page?.items ?? []).map((task) => task.id), [page]);
  const [fresh, setFresh] = useState({ key, ids: new Set<string>() });
  const since = query.data === undefined ? Infinity : firstLoaded(query.data, query.dataUpdatedAt);

  useTaskEvents(query.isSuccess ? watched(filters, ids) : null, {
    onTask: (task) => {
      if (ids.includes(task.id)) {
        queryClient.setQueryData(options.queryKey, (data) => data && replaced(data, task));
      } else if (isNew(task, since)) {
        setFresh((before) => ({ key, ids: new Set(before.key === key ? before.ids : []).add(task.id) }));
      }
    },
    onGap: () => void query.refetch(),
  });

  const showPage = async (to: number) => {
    if (to >= (query.data?.pages.length ?? 0)) await query.fetchNextPage();
    setPlace({ key, page: to });
  };
  const refresh = async () => {
    setFresh({ key, ids: new Set() });
    setPlace({ key, page: 0 });
    queryClient.setQueryData(options.queryKey, (data) => data && firstPage(data));
    await query.refetch();
  };
  return {
    query,
    items: page?.items ?? [],
    total: query.data?.pages[0]?.total ?? null,
    pageIndex,
    hasNext: page?.cursor != null,
    showPage,
    refresh,
    freshCount: fresh.key === key ? fresh.ids.size : 0,
  };
}

type Tasks = InfiniteData<Page<Task>>;

/** What matches, and what is shown, whether it still matches or not. */
function watched(filters: string, ids: string[]): string {
  if (filters === '' || ids.length === 0) return filters;
  return `(${filters}) or ${idsFilter(ids)}`;
}

function replaced(data: Tasks, task: Task): Tasks {
  const pages = data.pages.map((page) =>
    page.items.some((item) => item.id === task.id)
      ? { ...page, items: page.items.map((item) => (item.id === task.id ? task : item)) }
      : page,
  );
  return { ...data, pages };
}

function firstPage(data: Tasks): Tasks {
  return { pages: data.pages.slice(0, 1), pageParams: data.pageParams.slice(0, 1) };
}

/** When the list began: clocks differ, so that the newest task counts more than ours. */
function firstLoaded(data: Tasks, fallback: number): number {
  const times = (data.pages[0]?.items ?? []).map((task) => Date.parse(task.created));
  return times.length === 0 ? fallback - 60_000 : Math.max(...times);
}

function isNew(task: Task, since: number): boolean {
  return Date.parse(task.created) > since;
}
