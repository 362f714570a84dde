import { Tabs } from '@mantine/core';
import { useRight } from '../session/session';
import { PageHead } from '../ui/PageHead';
import { Clients } from './Clients';
import { applications, tokens } from './sorts';

export function TokensPage() {
  const mayTokens = useRight('manageTokens') !== 'none';
  const mayApplications = useRight('manageApplications') !== 'none';
  return (
    <>
      <PageHead title="Tokens" />
      <Tabs defaultValue={mayTokens ? 'tokens' : 'applications'} keepMounted={false}>
        <Tabs.List>
          {mayTokens && <Tabs.Tab value="tokens">Personal access tokens</Tabs.Tab>}
          {mayApplications && <Tabs.Tab value="applications">Applications</Tabs.Tab>}
        </Tabs.List>
        {mayTokens && (
          <Tabs.Panel value="tokens" pt="md">
            <Clients sort={tokens} />
          </Tabs.Panel>
        )}
        {mayApplications && (
          <Tabs.Panel value="applications" pt="md">
            <Clients sort={applications} />
          </Tabs.Panel>
        )}
      </Tabs>
    </>
  );
}
