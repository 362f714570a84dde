import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, bodyOf, pageOf } from '../api/client';
import type { TaskSort, TaskWithHistory } from '../api/types';

export const pageSize = 50;

/** The list of tasks, page by page. The total is counted with the first page alone. */
export function taskListQuery(filters: string, sorters: TaskSort) {
  return infiniteQueryOptions({
    queryKey: ['tasks', 'list', filters, sorters],
    queryFn: ({ pageParam, signal }) =>
      pageOf(
        api.GET('/stint/v1/tasks', {
          params: {
            query: {
              filters,
              sorters,
              limit: pageSize,
              ...(pageParam === null ? { count: true } : { cursor: pageParam }),
            },
          },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.cursor,
    placeholderData: keepPreviousData,
  });
}

/** A few tasks at the beginning of a list. */
export function someTasksQuery(filters: string, sorters: TaskSort, limit: number) {
  return queryOptions({
    queryKey: ['tasks', 'some', filters, sorters, limit],
    queryFn: ({ signal }) =>
      pageOf(api.GET('/stint/v1/tasks', { params: { query: { filters, sorters, limit, count: true } }, signal })),
    placeholderData: keepPreviousData,
  });
}

export function taskQuery(id: string) {
  return queryOptions({
    queryKey: ['tasks', 'one', id],
    queryFn: async ({ signal }) =>
      (await bodyOf(api.GET('/stint/v1/tasks/{id}', { params: { path: { id } }, signal }))) as TaskWithHistory,
  });
}

export const definitionsQuery = queryOptions({
  queryKey: ['definitions'],
  queryFn: ({ signal }) => bodyOf(api.GET('/stint/v1/definitions', { signal })),
  staleTime: Infinity,
});
