import { queryOptions } from '@tanstack/react-query';
import { api, bodyOf } from '../api/client';
import { someTasksQuery } from '../tasks/queries';

/** How many of the newest runs of each job are shown. */
export const marks = 30;

/** The newest runs of each type and source. */
export const jobsQuery = queryOptions({
  queryKey: ['tasks', 'jobs'],
  queryFn: ({ signal }) => bodyOf(api.GET('/stint/v1/statistics/runs', { params: { query: { last: marks } }, signal })),
});

/** What is in progress, the oldest first. */
export const inProgressQuery = someTasksQuery('completionStatus isnull', 'created', 250);

/** What has failed since a time, the newest first. */
export function failuresQuery(since: string) {
  return someTasksQuery(`completionStatus in ("ERROR","TEMPERROR") and completed ge "${since}"`, '-completed', 250);
}
