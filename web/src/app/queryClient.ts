import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { ApiError, isStatus } from '../api/client';
import { sessionQuery } from '../session/session';

export function newQueryClient(): QueryClient {
  // Whatever is refused for want of a session shows the sign-in page; what was shown stays
  // for after it.
  const onError = (error: unknown) => {
    if (isStatus(error, 401)) queryClient.setQueryData(sessionQuery.queryKey, null);
  };
  const queryClient: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({
      onError: (error, _variables, _context, mutation) => {
        // A refused sign-in is no session that has ended.
        if (mutation.options.mutationKey?.[0] !== 'sign-in') onError(error);
      },
    }),
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        // Live updates bring what changes; coming back to the tab is not worth a question.
        refetchOnWindowFocus: false,
        networkMode: 'always',
        retry: (failures, error) => error instanceof ApiError && error.passing && failures < 2,
      },
      mutations: { networkMode: 'always' },
    },
  });
  return queryClient;
}
