import { queryOptions } from '@tanstack/react-query';
import { api, bodyOf, pageOf } from '../api/client';

/** All sources by name; a deployment has tens of them, not thousands. */
export const sourcesQuery = queryOptions({
  queryKey: ['sources', 'list'],
  queryFn: ({ signal }) =>
    pageOf(api.GET('/stint/v1/sources', { params: { query: { limit: 250, count: true } }, signal })),
  staleTime: 30_000,
});

export function sourceQuery(id: string) {
  return queryOptions({
    queryKey: ['sources', 'one', id],
    queryFn: ({ signal }) => bodyOf(api.GET('/stint/v1/sources/{id}', { params: { path: { id } }, signal })),
  });
}
