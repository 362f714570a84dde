import { expect, it } from 'vitest';
import type { HistoryEvent, TaskWithHistory } from '../api/types';
import { lifeOf } from './timeline';

const at = (seconds: number) => new Date(seconds * 1000).toISOString();

function event(name: HistoryEvent['event'], seconds: number, attempt = 1): HistoryEvent {
  return { at: at(seconds), event: name, attempt, actor: 'x', text: '', count: 1 };
}

function taskWith(times: Pick<TaskWithHistory, 'launched' | 'completed'>, history: HistoryEvent[]): TaskWithHistory {
  return { created: at(0), ...times, history } as TaskWithHistory;
}

it('a task that waits is queued until now', () => {
  const life = lifeOf(taskWith({ launched: null, completed: null }, [event('launched', 0)]), 5_000);
  expect(life.phases).toEqual([{ label: 'Queued', kind: 'queued', from: 0, to: 5_000 }]);
});

it('an interrupted attempt is followed by the next', () => {
  const history = [
    event('launched', 0),
    event('started', 1),
    event('interrupted', 4),
    event('started', 6, 2),
    event('completed', 9, 2),
  ];
  const life = lifeOf(taskWith({ launched: at(1), completed: at(9) }, history), 99_000);
  expect(life.phases.map(({ kind, from, to }) => [kind, from, to])).toEqual([
    ['queued', 0, 1_000],
    ['broken', 1_000, 4_000],
    ['attempt', 6_000, 9_000],
  ]);
});

it('a task without a history has its times', () => {
  const life = lifeOf(taskWith({ launched: at(2), completed: at(3) }, []), 99_000);
  expect(life.phases.map((phase) => phase.to)).toEqual([2_000, 3_000]);
});
