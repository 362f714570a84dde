import { expect, it } from 'vitest';
import { formatAgo, formatDuration, formatTime, fromInputTime, toInputTime } from './format';

it.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [1500, '1.5 s'],
  [59_400, '59 s'],
  [60_000, '1 min'],
  [3_599_000, '59 min 59 s'],
  [3_600_000, '1 h'],
  [3_599_600, '60 min'],
  [5_400_000, '1 h 30 min'],
  [90_000_000, '1 d 1 h'],
])('%d ms is %s', (ms, want) => {
  expect(formatDuration(ms)).toBe(want);
});

it.each([
  [1_000, 'just now'],
  [30_000, '30 s ago'],
  [-120_000, 'in 2 min'],
  [86_400_000, '24 h ago'],
  [3 * 86_400_000, '3 days ago'],
])('%d ms back is %s', (ms, want) => {
  const now = 1_700_000_000_000;
  expect(formatAgo(now - ms, now)).toBe(want);
});

it('writes UTC where it is asked for', () => {
  const now = Date.parse('2026-11-25T12:00:00Z');
  expect(formatTime('2026-11-24T23:40:50.123Z', 'utc', now)).toBe('24 Nov, 23:40:50 UTC');
  expect(formatTime('2025-11-24T23:40:50.123Z', 'utc', now)).toBe('24 Nov 2025, 23:40:50 UTC');
});

it.each(['utc', 'local'] as const)('inputs bring back the time they were given, %s', (zone) => {
  expect(fromInputTime(toInputTime('2026-11-24T23:40:00.000Z', zone), zone)).toBe('2026-11-24T23:40:00.000Z');
  expect(fromInputTime('', zone)).toBeUndefined();
});
