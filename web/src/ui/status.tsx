import type { CompletionStatus, Task } from '../api/types';
import classes from './status.module.css';

/** What people look for: how a task ended, or that it has not. */
export type Look = CompletionStatus | 'RUNNING' | 'QUEUED';

export const lookNames: Record<Look, string> = {
  SUCCESS: 'Success',
  WARNING: 'Warning',
  ERROR: 'Error',
  TEMPERROR: 'Temporary error',
  TERMINATED: 'Terminated',
  RUNNING: 'Running',
  QUEUED: 'Queued',
};

export function lookOf(task: Pick<Task, 'completionStatus' | 'state'>): Look {
  return task.completionStatus ?? (task.state === 'queued' ? 'QUEUED' : 'RUNNING');
}

/** The shapes, in a square of 16: they tell the looks apart where colours do not. */
const shapes: Record<Look, React.ReactNode> = {
  SUCCESS: <circle cx="8" cy="8" r="6.5" />,
  WARNING: <path d="M8 1.2 15.2 14.4H.8z" />,
  ERROR: <path d="M1.5 1.5h13v13h-13z" />,
  TEMPERROR: <path d="M8 .6 15.4 8 8 15.4.6 8z" />,
  TERMINATED: <path d="M1.5 5.5h13v5h-13z" />,
  RUNNING: <path d="M3 1.5 14.5 8 3 14.5z" />,
  QUEUED: <circle cx="8" cy="8" r="5.5" fill="none" stroke="currentColor" strokeWidth="2" />,
};

const details: Partial<Record<Look, React.ReactNode>> = {
  SUCCESS: <path d="m4.8 8.2 2.2 2.2 4.2-4.6" className={classes.detail} />,
  WARNING: <path d="M8 6v4M8 11.8v.8" className={classes.detail} />,
  ERROR: <path d="m5 5 6 6M11 5l-6 6" className={classes.detail} />,
};

/** The shapes of a look inside an SVG of somebody else's. */
export function LookShape({ look }: { look: Look }) {
  return (
    <g className={classes[look]} fill="currentColor">
      {shapes[look]}
      {details[look]}
    </g>
  );
}

/** A small mark. Without a label it is an ornament: its name stands beside it. */
export function StatusMark({ look, label = false, size = 16 }: { look: Look; label?: boolean; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      className={classes.mark}
      {...(label ? { role: 'img', 'aria-label': lookNames[look] } : { 'aria-hidden': true })}
    >
      {label && <title>{lookNames[look]}</title>}
      <LookShape look={look} />
    </svg>
  );
}

/** The mark with its name; where it is tight, a narrow screen has the mark alone. */
export function StatusLabel({ look, tight = false }: { look: Look; tight?: boolean }) {
  return (
    <span className={classes.label} title={lookNames[look]}>
      <StatusMark look={look} />
      <span className={tight ? classes.tight : undefined}>{lookNames[look]}</span>
    </span>
  );
}
