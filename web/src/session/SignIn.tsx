import {
  Alert,
  Button,
  Center,
  Code,
  Divider,
  Paper,
  PasswordInput,
  Stack,
  Text,
  TextInput,
  Title,
} from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, bodyOf } from '../api/client';
import { Problem } from '../ui/Problem';
import { useTitle } from '../ui/useTitle';
import { sessionQuery } from './session';

interface SignInProps {
  /** Someone was signed in on this page, and is not any more. */
  expired: boolean;
}

/** Stands in for whatever page was asked for; that page follows. */
export function SignIn({ expired }: SignInProps) {
  useTitle('Sign in');
  const queryClient = useQueryClient();
  const [clientId, setClientId] = useState('');
  const [clientSecret, setClientSecret] = useState('');
  const ways = useQuery({
    queryKey: ['session', 'ways'],
    queryFn: ({ signal }) => bodyOf(api.GET('/stint/v1/session/ways', { signal })),
    staleTime: Infinity,
  });
  const signIn = useMutation({
    mutationKey: ['sign-in'],
    mutationFn: () => bodyOf(api.POST('/stint/v1/session', { body: { clientId, clientSecret } })),
    onSuccess: async (session) => {
      queryClient.setQueryData(sessionQuery.queryKey, session);
      await queryClient.invalidateQueries({ predicate: (query) => query.queryKey[0] !== 'session' });
    },
  });
  return (
    <Center component="main" mih="100dvh" p="md">
      <Paper withBorder p="xl" w="100%" maw={420}>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            signIn.mutate();
          }}
        >
          <Stack>
            <Title order={1} size="h2">
              Sign in to Stint
            </Title>
            {expired && (
              <Alert color="yellow" title="Your session has ended">
                Sign in again and you are back on this page.
              </Alert>
            )}
            <ProviderAnswer />
            {signIn.isError && <Problem error={signIn.error} />}
            <TextInput
              label="Client ID"
              description="Of a personal access token or an application"
              autoComplete="username"
              required
              value={clientId}
              onChange={(event) => setClientId(event.currentTarget.value)}
              data-autofocus
            />
            <PasswordInput
              label="Client secret"
              autoComplete="current-password"
              required
              value={clientSecret}
              onChange={(event) => setClientSecret(event.currentTarget.value)}
            />
            <Button type="submit" loading={signIn.isPending}>
              Sign in
            </Button>
            {ways.data?.oidc === true && (
              <>
                <Divider label="or" />
                <Button
                  component="a"
                  variant="default"
                  href={`/stint/v1/session/oidc?to=${encodeURIComponent(location.pathname + location.search)}`}
                >
                  Sign in with your organisation
                </Button>
              </>
            )}
            <Text size="sm" c="dimmed">
              No token yet? The first start of the server printed one; an administrator makes others under Tokens or
              with <Code>stint token create</Code>.
            </Text>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}

const answers: Record<string, string> = {
  refused: 'The identity provider did not sign you in, or it took too long. Try again.',
  forbidden: 'You are known, but have no user level here. An administrator can give you one.',
  away: 'The identity provider cannot be asked right now. Try again in a moment.',
};

/** Why a sign-in at the identity provider came to nothing. */
function ProviderAnswer() {
  const answer = answers[new URLSearchParams(location.search).get('signin') ?? ''];
  if (answer === undefined) return null;
  return <Alert color="red" title={answer} role="alert" />;
}
