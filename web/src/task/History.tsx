import { Table, Text } from '@mantine/core';
import type { HistoryEvent } from '../api/types';
import { Time } from '../time/Time';
import { Empty } from '../ui/Empty';
import { WideTable } from '../ui/WideTable';

const names: Record<HistoryEvent['event'], string> = {
  launched: 'Launched',
  imported: 'Imported',
  replaced: 'Replaced',
  started: 'Started',
  cancelRequested: 'Cancel requested',
  stopTold: 'Told to stop',
  completed: 'Completed',
  cleared: 'Cleared',
  cancelled: 'Cancelled',
  lost: 'Lost',
  expired: 'Expired',
  refused: 'Report refused',
  interrupted: 'Interrupted',
  noted: 'Noted',
};

/** What happened to a task, and who did it; the newest last. */
export function History({ events }: { events: HistoryEvent[] }) {
  if (events.length === 0) return <Empty title="Nothing was recorded" />;
  return (
    <WideTable label="History" scrollBelow={480}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>When</Table.Th>
          <Table.Th>What</Table.Th>
          <Table.Th>Who</Table.Th>
          <Table.Th>Attempt</Table.Th>
          <Table.Th>Details</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {events.map((event, index) => (
          <Table.Tr key={index}>
            <Table.Td>
              <Time value={event.at} />
            </Table.Td>
            <Table.Td>
              {names[event.event]}
              {event.count > 1 && ` (${event.count} times)`}
            </Table.Td>
            <Table.Td>{event.actor}</Table.Td>
            <Table.Td>{event.attempt}</Table.Td>
            <Table.Td>
              <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
                {event.text}
              </Text>
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </WideTable>
  );
}
