import { api, pageOf } from '../api/client';
import type { Task } from '../api/types';

export type ExportFormat = 'csv' | 'ndjson';

const batch = 250;

interface ExportOptions {
  filters: string;
  sorters: string;
  format: ExportFormat;
  signal: AbortSignal;
  onProgress: (tasks: number) => void;
}

/** Reads a whole list, page by page, and returns it as a file. */
export async function exportTasks({ filters, sorters, format, signal, onProgress }: ExportOptions): Promise<Blob> {
  const parts: string[] = format === 'csv' ? [csvLine(csvColumns.map(([name]) => name))] : [];
  let cursor: string | null = null;
  let count = 0;
  do {
    const page: Awaited<ReturnType<typeof readPage>> = await readPage(filters, sorters, cursor, signal);
    parts.push(page.items.map(format === 'csv' ? csvOf : ndjsonOf).join(''));
    count += page.items.length;
    onProgress(count);
    cursor = page.cursor;
  } while (cursor !== null);
  return new Blob(parts, { type: format === 'csv' ? 'text/csv;charset=utf-8' : 'application/x-ndjson' });
}

function readPage(filters: string, sorters: string, cursor: string | null, signal: AbortSignal) {
  const query = { filters, sorters, limit: batch, ...(cursor !== null && { cursor }) };
  return pageOf(api.GET('/stint/v1/tasks', { params: { query }, signal }));
}

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
  ['messages', (task) => task.messages.map((m) => `${m.type}: ${m.localizedText?.message ?? m.key}`).join('\n')],
];

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
