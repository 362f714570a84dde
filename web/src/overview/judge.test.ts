import { expect, it } from 'vitest';
import type { Job, Run, Task } from '../api/types';
import { byNeed, groupFailures, isTooLong, judge, usualDurations } from './judge';

function run(completionStatus: Run['completionStatus']): Run {
  const completed = completionStatus === null ? null : '2026-11-25T12:00:00.000Z';
  return { id: 'x', state: 'completed', completionStatus, created: '', launched: null, completed, durationMs: null };
}

function job(name: string, ...statuses: Run['completionStatus'][]): Job {
  return {
    type: name,
    typeName: name,
    sourceId: null,
    sourceName: null,
    usualDurationMs: 60_000,
    runs: statuses.map(run),
  } as Job;
}

it('a job is judged by the last run that has ended', () => {
  expect(judge(job('a', null, 'ERROR', 'SUCCESS'))).toBe('bad');
  expect(judge(job('a', null, 'SUCCESS', 'ERROR'))).toBe('good');
  expect(judge(job('a', 'WARNING'))).toBe('warning');
  expect(judge(job('a', 'TERMINATED'))).toBe('bad');
  expect(judge(job('a', null))).toBe('unknown');
});

it('what needs a look comes first', () => {
  const jobs = [job('d', 'SUCCESS'), job('c', 'SUCCESS'), job('b', 'WARNING'), job('a', 'TEMPERROR')];
  expect(jobs.sort(byNeed).map((one) => one.type)).toEqual(['a', 'b', 'c', 'd']);
});

it.each<[minutes: number, usual: number | null, want: boolean]>([
  [14, 60_000, false],
  [16, 60_000, true],
  [59, 20 * 60_000, false],
  [61, 20 * 60_000, true],
  [23 * 60, null, false],
  [25 * 60, null, true],
])('%d min where %d ms are usual: %s', (minutes, usual, want) => {
  const now = Date.parse('2026-11-25T12:00:00Z');
  const created = new Date(now - minutes * 60_000).toISOString();
  expect(isTooLong({ created, launched: null }, usual, now)).toBe(want);
});

it('knows what is usual by type and source', () => {
  const usual = usualDurations([job('a')]);
  expect(usual({ kind: 'a', sourceId: null })).toBe(60_000);
  expect(usual({ kind: 'a', sourceId: 'other' })).toBeNull();
});

it('groups failures by what they say', () => {
  const failed = (message: string) =>
    ({ messages: message === '' ? [] : [{ type: 'ERROR', localizedText: { message } }] }) as unknown as Task;
  const groups = groupFailures([failed('Row 12 is broken'), failed(''), failed('Row 7 is broken\nmore')]);
  expect(groups.map(({ message, count }) => [message, count])).toEqual([
    ['Row 12 is broken', 2],
    ['It says nothing', 1],
  ]);
});
