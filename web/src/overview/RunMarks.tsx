import { Link } from '@tanstack/react-router';
import type { Job, Run } from '../api/types';
import { useTimeZone } from '../settings/settings';
import { formatDuration, formatTime, type Zone } from '../time/format';
import { lookNames, lookOf, StatusMark } from '../ui/status';
import { jobName } from './judge';
import classes from './RunMarks.module.css';

/** The newest runs as small marks, the newest at the right. */
export function RunMarks({ job }: { job: Job }) {
  const [zone] = useTimeZone();
  const now = Date.parse(job.lastRun.created);
  return (
    <span className={classes.marks} role="group" aria-label={summary(job)}>
      {job.runs.toReversed().map((run) => (
        // The list of the runs, which the row leads to, is the way for the keyboard.
        <Link
          key={run.id}
          to="/tasks/$id"
          params={{ id: run.id }}
          tabIndex={-1}
          aria-label={describe(run, zone, now)}
          title={describe(run, zone, now)}
          preload={false}
        >
          <StatusMark look={lookOf(run)} size={10} />
        </Link>
      ))}
    </span>
  );
}

function describe(run: Run, zone: Zone, now: number): string {
  const took = run.durationMs === null ? '' : `, took ${formatDuration(run.durationMs)}`;
  return `${lookNames[lookOf(run)]}, ${formatTime(run.created, zone, now)}${took}`;
}

/** How often each thing happened, like: 28 Success, 2 Error. */
function summary(job: Job): string {
  const counts = new Map<string, number>();
  for (const run of job.runs) {
    const name = lookNames[lookOf(run)];
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const parts = [...counts].map(([name, count]) => `${count} ${name}`);
  return `The last ${job.runs.length} runs of ${jobName(job)}: ${parts.join(', ')}`;
}
