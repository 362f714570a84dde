import { Button, Table, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { IconPlus } from '@tabler/icons-react';
import type { Source } from '../api/types';
import { rowLink } from '../app/useKeyboard';
import { useRight } from '../session/session';
import { Time } from '../time/Time';
import { Empty } from '../ui/Empty';
import { Loading } from '../ui/Loading';
import { PageHead } from '../ui/PageHead';
import { Problem } from '../ui/Problem';
import { TextLink } from '../ui/TextLink';
import { WideTable } from '../ui/WideTable';
import { CreateSourceDialog } from './CreateSourceDialog';
import { sourcesQuery } from './queries';

export function SourcesPage() {
  const query = useQuery(sourcesQuery);
  const mayCreate = useRight('manageSources') === 'all';
  const [creating, dialog] = useDisclosure();
  return (
    <>
      <PageHead title="Sources">
        {mayCreate && (
          <Button size="xs" leftSection={<IconPlus size={14} aria-hidden />} onClick={dialog.open}>
            Create a source
          </Button>
        )}
      </PageHead>
      {query.isPending && <Loading />}
      {query.isError && !query.data && (
        <Problem title="The sources cannot be shown" error={query.error} retry={() => void query.refetch()} />
      )}
      {query.data && <SourceTable sources={query.data.items} />}
      {creating && <CreateSourceDialog onClose={dialog.close} />}
    </>
  );
}

function SourceTable({ sources }: { sources: Source[] }) {
  if (sources.length === 0) {
    return (
      <Empty title="There are no sources yet">
        A source is a system whose accounts and entitlements are read from files. Create one, then upload its first
        file.
      </Empty>
    );
  }
  return (
    <WideTable label="Sources" verticalSpacing={8}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Name</Table.Th>
          <Table.Th visibleFrom="sm">Description</Table.Th>
          <Table.Th ta="right">Accounts</Table.Th>
          <Table.Th ta="right">Entitlements</Table.Th>
          <Table.Th visibleFrom="sm">Changed</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {sources.map((source) => (
          <Table.Tr key={source.id}>
            <Table.Td>
              <TextLink to="/sources/$id" params={{ id: source.id }} {...rowLink}>
                {source.name}
              </TextLink>
            </Table.Td>
            <Table.Td visibleFrom="sm">
              <Text size="sm" c="dimmed" lineClamp={1}>
                {source.description}
              </Text>
            </Table.Td>
            <Table.Td ta="right" className="tabular">
              {source.accountCount.toLocaleString('en')}
            </Table.Td>
            <Table.Td ta="right" className="tabular">
              {source.entitlementCount.toLocaleString('en')}
            </Table.Td>
            <Table.Td visibleFrom="sm">
              <Time value={source.modified} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </WideTable>
  );
}
