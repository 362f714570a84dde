import { Button, Group, SimpleGrid, Stack, Tabs, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { IconArrowLeft, IconUpload } from '@tabler/icons-react';
import { useState } from 'react';
import { isStatus } from '../api/client';
import type { Source } from '../api/types';
import { sourceTabs, type SourceTab } from '../app/router';
import { useTaskEvents } from '../live/live';
import { useRightOn } from '../session/session';
import { someTasksQuery } from '../tasks/queries';
import { quoted } from '../tasks/search';
import { Empty } from '../ui/Empty';
import { Loading } from '../ui/Loading';
import { PageHead } from '../ui/PageHead';
import { Problem } from '../ui/Problem';
import { TextLink } from '../ui/TextLink';
import { AggregateDialog, type AggregateStart } from './AggregateDialog';
import { Accounts, Entitlements } from './Contents';
import { LastRun } from './LastRun';
import { sourceQuery } from './queries';
import { Runs } from './Runs';
import { SourceSettings } from './SourceSettings';

const route = getRouteApi('/sources/$id');
const tabNames: Record<SourceTab, string> = {
  runs: 'Runs',
  accounts: 'Accounts',
  entitlements: 'Entitlements',
  settings: 'Settings',
};

export function SourcePage() {
  const { id } = route.useParams();
  const query = useQuery(sourceQuery(id));
  return (
    <>
      <TextLink to="/sources">
        <Group gap={4} component="span">
          <IconArrowLeft size={14} aria-hidden /> All sources
        </Group>
      </TextLink>
      {query.data && <SourceDetails source={query.data} />}
      {query.isPending && (
        <>
          <PageHead title="Source" />
          <Loading />
        </>
      )}
      {isStatus(query.error, 404) ? (
        <Empty title="There is no such source">Somebody may have deleted it. Its tasks stay listed.</Empty>
      ) : (
        query.isError &&
        !query.data && (
          <Problem title="The source cannot be shown" error={query.error} retry={() => void query.refetch()} />
        )
      )}
    </>
  );
}

function SourceDetails({ source }: { source: Source }) {
  const { tab = 'runs' } = route.useSearch();
  const navigate = route.useNavigate();
  const queryClient = useQueryClient();
  const mayLoad = {
    accounts: useRightOn('loadAccounts')(source.id),
    entitlements: useRightOn('loadEntitlements')(source.id),
  };
  const [start, setStart] = useState<AggregateStart | null>(null);
  const [aggregating, dialog] = useDisclosure();
  const filters = `sourceId eq ${quoted(source.id)}`;
  const runs = useQuery(someTasksQuery(filters, '-created', 20));
  const refresh = () =>
    void queryClient.invalidateQueries({ queryKey: someTasksQuery(filters, '-created', 20).queryKey });
  useTaskEvents(filters, {
    onTask: (task) => {
      refresh();
      if (task.completed !== null) void queryClient.invalidateQueries({ queryKey: ['sources'] });
    },
    onGap: refresh,
  });
  const open = (with_: AggregateStart) => {
    setStart(with_);
    dialog.open();
  };
  const last = runs.data?.items[0];
  return (
    <Stack gap="lg">
      <div>
        <PageHead title={source.name}>
          {mayLoad.accounts && (
            <Button
              size="xs"
              leftSection={<IconUpload size={14} aria-hidden />}
              onClick={() => open({ kind: 'accounts', allowDeletions: 0 })}
            >
              Aggregate accounts…
            </Button>
          )}
          {mayLoad.entitlements && (
            <Button size="xs" variant="default" onClick={() => open({ kind: 'entitlements', allowDeletions: 0 })}>
              Aggregate entitlements…
            </Button>
          )}
        </PageHead>
        <Text size="sm" c="dimmed">
          {source.description}
        </Text>
      </div>
      <SimpleGrid cols={{ base: 2, sm: 3 }} maw={560}>
        <Figure label="Accounts" value={source.accountCount} />
        <Figure label="Entitlements" value={source.entitlementCount} />
      </SimpleGrid>
      {last && <LastRun task={last} onAllow={mayLoad.accounts || mayLoad.entitlements ? open : null} />}
      <Tabs
        value={tab}
        keepMounted={false}
        onChange={(value) => void navigate({ search: { tab: value as SourceTab }, replace: true, resetScroll: false })}
      >
        <Tabs.List>
          {sourceTabs.map((name) => (
            <Tabs.Tab key={name} value={name}>
              {tabNames[name]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="runs" pt="md">
          <Runs query={runs} sourceId={source.id} />
        </Tabs.Panel>
        <Tabs.Panel value="accounts" pt="md">
          <Accounts sourceId={source.id} lastRun={last?.id ?? null} />
        </Tabs.Panel>
        <Tabs.Panel value="entitlements" pt="md">
          <Entitlements sourceId={source.id} lastRun={last?.id ?? null} />
        </Tabs.Panel>
        <Tabs.Panel value="settings" pt="md">
          <SourceSettings key={source.modified} source={source} />
        </Tabs.Panel>
      </Tabs>
      {aggregating && start && <AggregateDialog source={source} start={start} onClose={dialog.close} />}
    </Stack>
  );
}

function Figure({ label, value }: { label: string; value: number }) {
  return (
    <div>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text size="xl" fw={600} className="tabular">
        {value.toLocaleString('en')}
      </Text>
    </div>
  );
}
