import { Kbd, Modal, Stack, Table, Text } from '@mantine/core';
import { lookNames, StatusLabel, type Look } from '../ui/status';

const keys: [string, string][] = [
  ['/', 'Go to the search field of the page'],
  ['j', 'Next row of a list'],
  ['k', 'Row before'],
  ['Enter', 'Open the row'],
  ['?', 'This help'],
];

const looks = Object.keys(lookNames) as Look[];

export function HelpDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title="Keyboard and help">
      <Stack>
        <Table>
          <Table.Tbody>
            {keys.map(([key, does]) => (
              <Table.Tr key={key}>
                <Table.Td>
                  <Kbd>{key}</Kbd>
                </Table.Td>
                <Table.Td>{does}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        <Text fw={600}>What the marks mean</Text>
        <Stack gap={6}>
          {looks.map((look) => (
            <StatusLabel key={look} look={look} />
          ))}
        </Stack>
        <Text size="sm">
          Clearing a task ends it in the record, whatever its worker does. Cancelling asks the worker to stop. Both are
          written to the audit with your name and your reason.
        </Text>
      </Stack>
    </Modal>
  );
}
