import { api, pageOf } from '../api/client';
import type { TaskSort } from '../api/types';
import { csvHead, csvOf, ndjsonOf } from './csv';

export type ExportFormat = 'csv' | 'ndjson';

const batch = 250;

interface ExportOptions {
  filters: string;
  sorters: TaskSort;
  format: ExportFormat;
  signal: AbortSignal;
  onProgress: (tasks: number) => void;
}

/** Reads a whole list, page by page, and returns it as a file. */
export async function exportTasks({ filters, sorters, format, signal, onProgress }: ExportOptions): Promise<Blob> {
  const parts: string[] = format === 'csv' ? [csvHead()] : [];
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

function readPage(filters: string, sorters: TaskSort, cursor: string | null, signal: AbortSignal) {
  const query = { filters, sorters, limit: batch, ...(cursor !== null && { cursor }) };
  return pageOf(api.GET('/stint/v1/tasks', { params: { query }, signal }));
}
