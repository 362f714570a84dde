import { Group, Paper, SimpleGrid, Skeleton, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Job } from '../api/types';
import { StatusMark, type Look } from '../ui/status';
import { judge } from './judge';
import classes from './Summary.module.css';

interface SummaryProps {
  /** All of these are null until they are known. */
  jobs: Job[] | null;
  late: number | null;
  running: number | null;
  failures: number | null;
}

/** What one should know after five seconds. */
export function Summary({ jobs, late, running, failures }: SummaryProps) {
  const bad = jobs?.filter((job) => judge(job) === 'bad').length ?? 0;
  const warnings = jobs?.filter((job) => judge(job) === 'warning').length ?? 0;
  return (
    <SimpleGrid cols={{ base: 2, md: 4 }}>
      <Tile
        known={jobs !== null}
        look={bad > 0 ? 'ERROR' : warnings > 0 ? 'WARNING' : 'SUCCESS'}
        label="Last runs"
        to="#jobs"
      >
        {verdict(jobs?.length ?? 0, bad, warnings)}
      </Tile>
      <Tile known={late !== null} look={late === 0 ? 'SUCCESS' : 'WARNING'} label="In progress too long" to="#late">
        {late === 0 ? 'None' : late?.toLocaleString('en')}
      </Tile>
      <Tile
        known={failures !== null}
        look={failures === 0 ? 'SUCCESS' : 'ERROR'}
        label="Failures in 24 hours"
        to="#failures"
      >
        {failures === 0 ? 'None' : failures?.toLocaleString('en')}
      </Tile>
      <Tile known={running !== null} look={running === 0 ? 'QUEUED' : 'RUNNING'} label="In progress" to="#running">
        {running === 0 ? 'None' : running?.toLocaleString('en')}
      </Tile>
    </SimpleGrid>
  );
}

function verdict(jobs: number, bad: number, warnings: number): string {
  if (jobs === 0) return 'None yet';
  if (bad > 0) return `${bad} of ${jobs} failed`;
  return warnings > 0 ? `${warnings} of ${jobs} with warnings` : `All ${jobs} went well`;
}

interface TileProps {
  known: boolean;
  look: Look;
  label: string;
  /** Where on the page the details are. */
  to: string;
  children: ReactNode;
}

function Tile({ known, look, label, to, children }: TileProps) {
  return (
    <Paper component="a" href={to} withBorder p="sm" className={classes.tile}>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      {known ? (
        <Group gap={8} wrap="nowrap" mih={30}>
          <StatusMark look={look} size={20} />
          <Text fw={650} size="lg" lh={1.2}>
            {children}
          </Text>
        </Group>
      ) : (
        <Skeleton height={30} />
      )}
    </Paper>
  );
}
