import type { TaskWithHistory } from '../api/types';

/** A stretch of a task's life. */
export interface Phase {
  label: string;
  kind: 'queued' | 'attempt' | 'broken';
  from: number;
  to: number;
}

export interface Moment {
  label: string;
  at: number;
}

export interface Life {
  from: number;
  to: number;
  phases: Phase[];
  moments: Moment[];
}

const momentNames: Partial<Record<TaskWithHistory['history'][number]['event'], string>> = {
  cancelRequested: 'Cancel requested',
  stopTold: 'Told to stop',
  refused: 'Report refused',
  noted: 'Noted',
};

/** What a timeline of a task shows, from its times and its history. */
export function lifeOf(task: TaskWithHistory, now: number): Life {
  const from = Date.parse(task.created);
  const to = Math.max(task.completed === null ? now : Date.parse(task.completed), from + 1);
  const phases: Phase[] = [];
  const started = task.history.filter((event) => event.event === 'started').map((event) => Date.parse(event.at));
  const broken = task.history.filter((event) => event.event === 'interrupted').map((event) => Date.parse(event.at));
  const first = started[0] ?? (task.launched === null ? null : Date.parse(task.launched));
  phases.push({ label: 'Queued', kind: 'queued', from, to: Math.min(first ?? to, to) });
  if (first !== null) {
    let begin = first;
    broken.forEach((at, index) => {
      phases.push({ label: `Attempt ${index + 1}, interrupted`, kind: 'broken', from: begin, to: at });
      begin = started.find((start) => start >= at) ?? at;
    });
    phases.push({ label: `Attempt ${broken.length + 1}`, kind: 'attempt', from: begin, to });
  }
  const moments = task.history.flatMap((event) => {
    const label = momentNames[event.event];
    return label === undefined ? [] : [{ label, at: Date.parse(event.at) }];
  });
  return { from, to, phases, moments };
}
