import type { Task } from '../api/types';

const csvColumns: [string, (task: Task) => string | number | null][] = [
  ['id', (task) => task.id],
  ['type', (task) => task.kind],
  ['uniqueName', (task) => task.uniqueName],
  ['description', (task) => task.description],
  ['state', (task) => task.state],
  ['completionStatus', (task) => task.completionStatus],
  ['launcher', (task) => task.launcher],
  ['sourceId', (task) => task.sourceId],
  ['target', (task) => task.target?.name ?? null],
  ['created', (task) => task.created],
  ['launched', (task) => task.launched],
  ['completed', (task) => task.completed],
  ['percentComplete', (task) => task.percentComplete],
  ['progress', (task) => task.progress],
  ['messages', (task) => task.messages.map((m) => `${m.type}: ${m.localizedText.message}`).join('\n')],
];

export function csvHead(): string {
  return csvLine(csvColumns.map(([name]) => name));
}

export function csvOf(task: Task): string {
  return csvLine(csvColumns.map(([, read]) => read(task)));
}

export function ndjsonOf(task: Task): string {
  return `${JSON.stringify(task)}\n`;
}

/** A line as RFC 4180 has it. */
export function csvLine(cells: (string | number | null)[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

function csvCell(cell: string | number | null): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  // A program that takes a cell for a formula must not run it.
  const safe = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
