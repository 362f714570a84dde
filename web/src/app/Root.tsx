import { Center, Loader } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Problem } from '../ui/Problem';
import { sessionQuery } from '../session/session';
import { SignIn } from '../session/SignIn';
import { useEverTrue } from '../ui/useEverTrue';
import { Shell } from './Shell';

/** The application for whoever is signed in, and the way in for everybody else. */
export function Root() {
  const session = useQuery(sessionQuery);
  const wasSignedIn = useEverTrue(Boolean(session.data));
  if (session.data) return <Shell session={session.data} />;
  if (session.data === null) return <SignIn expired={wasSignedIn} />;
  return (
    <Center mih="100dvh" p="md">
      {session.isError ? (
        <Problem title="Stint cannot be reached" error={session.error} retry={() => void session.refetch()} />
      ) : (
        <Loader aria-label="Loading" />
      )}
    </Center>
  );
}
