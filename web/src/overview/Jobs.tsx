import { Table, Text, Title } from '@mantine/core';
import type { Job } from '../api/types';
import { rowLink } from '../app/useKeyboard';
import { formatDuration } from '../time/format';
import { Elapsed } from '../time/Elapsed';
import { Time } from '../time/Time';
import { Empty } from '../ui/Empty';
import { lookOf, StatusLabel } from '../ui/status';
import { TextLink } from '../ui/TextLink';
import { WideTable } from '../ui/WideTable';
import { byNeed, jobName } from './judge';
import classes from './Jobs.module.css';
import { RunMarks } from './RunMarks';

/** A row for each type and source: how the last run went, and those before it. */
export function Jobs({ jobs, more }: { jobs: Job[]; more: boolean }) {
  if (jobs.length === 0) {
    return (
      <Empty title="Nothing has run yet">
        Aggregate a <TextLink to="/sources">source</TextLink>, or run a program as a task:{' '}
        <code>stint exec --type NAME -- PROGRAM</code>
      </Empty>
    );
  }
  return (
    <section id="jobs" aria-labelledby="jobs-title">
      <Title order={2} size="h4" mb="xs" id="jobs-title">
        Last runs
      </Title>
      <WideTable label="Last runs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Source and type</Table.Th>
            <Table.Th>Status</Table.Th>
            <Table.Th className={classes.wide}>Last run</Table.Th>
            <Table.Th className={classes.wide}>Took</Table.Th>
            <Table.Th className={classes.wide}>Last good run</Table.Th>
            <Table.Th>Newest runs</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {jobs.toSorted(byNeed).map((job) => (
            <JobRow key={`${job.type} ${job.sourceId ?? ''}`} job={job} />
          ))}
        </Table.Tbody>
      </WideTable>
      {more && (
        <Text size="sm" c="dimmed">
          There are more types and sources than fit here.
        </Text>
      )}
    </section>
  );
}

function JobRow({ job }: { job: Job }) {
  const { lastRun } = job;
  const search = { type: [job.type], ...(job.sourceId !== null && { source: [job.sourceId] }) };
  return (
    <Table.Tr>
      <Table.Td>
        <TextLink to="/tasks" search={search} className={classes.name} {...rowLink}>
          {jobName(job)}
        </TextLink>
        <Text size="xs" c="dimmed" className={classes.narrow}>
          <Time value={lastRun.created} ago />
        </Text>
      </Table.Td>
      <Table.Td>
        <TextLink to="/tasks/$id" params={{ id: lastRun.id }} c="inherit">
          <StatusLabel look={lookOf(lastRun)} tight />
        </TextLink>
      </Table.Td>
      <Table.Td className={classes.wide}>
        <Time value={lastRun.created} ago />
      </Table.Td>
      <Table.Td className={classes.wide}>
        <Elapsed from={lastRun.launched} to={lastRun.completed} />
        <Usual took={lastRun.durationMs} usual={job.usualDurationMs} />
      </Table.Td>
      <Table.Td className={classes.wide}>
        {job.lastGoodRun ? <Time value={job.lastGoodRun.created} ago /> : `None of the last ${job.runs.length}`}
      </Table.Td>
      <Table.Td>
        <RunMarks job={job} />
      </Table.Td>
    </Table.Tr>
  );
}

/** Says what is usual; much more of it stands out. */
function Usual({ took, usual }: { took: number | null; usual: number | null }) {
  if (usual === null) return null;
  const times = took === null ? 0 : took / Math.max(usual, 1);
  const slow = times >= 2 && (took ?? 0) - usual > 5_000;
  return (
    <Text size="xs" className="tabular" {...(slow ? { fw: 700 } : { c: 'dimmed' })}>
      {slow ? `${times.toFixed(1)} times the usual ${formatDuration(usual)}` : `usually ${formatDuration(usual)}`}
    </Text>
  );
}
