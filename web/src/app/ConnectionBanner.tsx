import { Alert } from '@mantine/core';
import { IconPlugConnectedX } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useLostSince } from '../api/reachability';
import { sessionQuery } from '../session/session';
import { Time } from '../time/Time';

const askEvery = 3_000;

/** Says that the server is away, asks for it again and again, and brings the page up to date when it is back. */
export function ConnectionBanner() {
  const lostSince = useLostSince();
  const queryClient = useQueryClient();
  const lost = lostSince !== null;
  useEffect(() => {
    if (!lost) return;
    const timer = setInterval(
      () => void queryClient.refetchQueries({ queryKey: sessionQuery.queryKey, exact: true }),
      askEvery,
    );
    return () => {
      clearInterval(timer);
      void queryClient.invalidateQueries();
    };
  }, [lost, queryClient]);
  if (!lost) return null;
  return (
    <Alert
      color="orange"
      icon={<IconPlugConnectedX aria-hidden />}
      title="The server cannot be reached"
      mb="md"
      role="alert"
    >
      What you see is from <Time value={new Date(lostSince).toISOString()} /> or before. It is asked again every few
      seconds; nothing you do is sent until then.
    </Alert>
  );
}
