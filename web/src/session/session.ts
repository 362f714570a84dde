import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';
import { api, bodyOf, isStatus } from '../api/client';
import type { RightName, Session, Task } from '../api/types';

/** Who is signed in; null is nobody. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async ({ signal }): Promise<Session | null> => {
    try {
      return await bodyOf(api.GET('/stint/v1/session', { signal }));
    } catch (error) {
      if (isStatus(error, 401)) return null;
      throw error;
    }
  },
  staleTime: 60_000,
});

/** How far a right of whoever is signed in goes. */
export function useRight(name: RightName): 'all' | 'own' | 'none' {
  const { data: session } = useQuery(sessionQuery);
  return session?.rights[name] ?? 'none';
}

/** Whether a right goes as far as a source (null: what belongs to none). */
export function useRightOn(name: RightName): (sourceId: string | null) => boolean {
  const { data: session } = useQuery(sessionQuery);
  const extent = session?.rights[name] ?? 'none';
  const sources = session?.sources;
  return useCallback(
    (sourceId) => extent === 'all' || (extent === 'own' && sourceId !== null && (sources?.includes(sourceId) ?? false)),
    [extent, sources],
  );
}

export function useMayEnd(): (task: Task) => boolean {
  const may = useRightOn('endTasks');
  return useCallback((task) => task.completed === null && may(task.sourceId), [may]);
}

export function useSignOut(): () => Promise<void> {
  const queryClient = useQueryClient();
  return async () => {
    await api.DELETE('/stint/v1/session');
    queryClient.setQueryData(sessionQuery.queryKey, null);
    queryClient.removeQueries({ predicate: (query) => query.queryKey[0] !== 'session' });
  };
}
