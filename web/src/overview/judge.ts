import type { CompletionStatus, Job, Run, Task } from '../api/types';

const minute = 60_000;
const day = 24 * 60 * minute;

/** Longer than so many times what is usual is too long, but not below patience. */
const tooManyTimes = 3;
const patience = 15 * minute;

const failed: CompletionStatus[] = ['ERROR', 'TEMPERROR', 'TERMINATED'];

/** The last run of a job that has ended; one that is under way says nothing yet. */
export function lastEnded(job: Job): Run | undefined {
  return job.runs.find((run) => run.completed !== null);
}

export type Verdict = 'bad' | 'warning' | 'good' | 'unknown';

export function judge(job: Job): Verdict {
  const status = lastEnded(job)?.completionStatus;
  if (status === undefined || status === null) return 'unknown';
  if (failed.includes(status)) return 'bad';
  return status === 'WARNING' ? 'warning' : 'good';
}

const order: Verdict[] = ['bad', 'warning', 'unknown', 'good'];

/** What needs a look comes first; the rest is in the order of its names. */
export function byNeed(a: Job, b: Job): number {
  const need = order.indexOf(judge(a)) - order.indexOf(judge(b));
  return need !== 0 ? need : jobName(a).localeCompare(jobName(b));
}

export function jobName(job: Pick<Job, 'typeName' | 'sourceName' | 'sourceId'>): string {
  const source = job.sourceName ?? job.sourceId;
  return source === null ? job.typeName : `${source}: ${job.typeName}`;
}

/** How long the tasks of a type and source usually take. */
export function usualDurations(jobs: Job[]): (task: Pick<Task, 'kind' | 'sourceId'>) => number | null {
  const keyOf = (kind: string, sourceId: string | null) => `${kind}\n${sourceId ?? ''}`;
  const usual = new Map(jobs.map((job) => [keyOf(job.type, job.sourceId), job.usualDurationMs]));
  return (task) => usual.get(keyOf(task.kind, task.sourceId)) ?? null;
}

/** Whether a task has been in progress for longer than it should be. */
export function isTooLong(task: Pick<Task, 'created' | 'launched'>, usual: number | null, now: number): boolean {
  const limit = usual === null ? day : Math.max(usual * tooManyTimes, patience);
  return now - Date.parse(task.launched ?? task.created) > limit;
}

export interface FailureGroup {
  message: string;
  count: number;
  /** The newest first. */
  tasks: Task[];
}

/** Groups failures by what they say; numbers and ids in it make no difference. */
export function groupFailures(tasks: Task[]): FailureGroup[] {
  const groups = new Map<string, FailureGroup>();
  for (const task of tasks) {
    const message = firstError(task);
    const key = message.replace(/[0-9a-f]{8,}|\d+/gi, '#');
    const group = groups.get(key) ?? { message, count: 0, tasks: [] };
    group.count++;
    group.tasks.push(task);
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => b.count - a.count);
}

function firstError(task: Task): string {
  const message = task.messages.find((one) => one.type === 'ERROR') ?? task.messages[0];
  return message?.localizedText.message.split('\n')[0] ?? 'It says nothing';
}
