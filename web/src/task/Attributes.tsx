import { Stack, Table, Text } from '@mantine/core';
import type { Task } from '../api/types';
import { Empty } from '../ui/Empty';

/** The values of a task: those that its returns name, by these names, and the others. */
export function Attributes({ task }: { task: Task }) {
  const named = task.returns.map((value) => [readable(value.name), task.attributes[value.attributeName]] as const);
  const returned = new Set(task.returns.map((value) => value.attributeName));
  const others = Object.entries(task.attributes).filter(([name]) => !returned.has(name));
  const given = Object.entries(task.taskDefinitionSummary?.arguments ?? {});
  if (named.length + others.length + given.length === 0) return <Empty title="It has no attributes" />;
  return (
    <Stack>
      <Values title="Counts" values={named} />
      <Values title="Attributes" values={others} />
      <Values title="Arguments" values={given} />
    </Stack>
  );
}

/** TASK_OUT_ACCOUNT_AGGREGATION_TOTAL reads: Account aggregation total. */
function readable(name: string): string {
  const words = name
    .replace(/^TASK_OUT_/, '')
    .replaceAll('_', ' ')
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function Values({ title, values }: { title: string; values: (readonly [string, unknown])[] }) {
  if (values.length === 0) return null;
  return (
    <div>
      <Text fw={600} size="sm" mb={4}>
        {title}
      </Text>
      <Table verticalSpacing={4} maw={720}>
        <Table.Tbody>
          {values.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th scope="row" fw={400} w="50%">
                {name}
              </Table.Th>
              <Table.Td className="tabular" style={{ overflowWrap: 'anywhere' }}>
                {valueText(value)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

function valueText(value: unknown): string {
  if (value === undefined || value === null) return '–';
  if (typeof value === 'number') return value.toLocaleString('en');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
