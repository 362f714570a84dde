/**
 * The filters of the task list: what the URL says, and the filter expression that the API
 * takes. This is the only place that translates between them.
 */
import type { TaskSort } from '../api/types';

export const statuses = ['IN_PROGRESS', 'SUCCESS', 'WARNING', 'ERROR', 'TEMPERROR', 'TERMINATED'] as const;
export type Status = (typeof statuses)[number];

export const statusNames: Record<Status, string> = {
  IN_PROGRESS: 'In progress',
  SUCCESS: 'Success',
  WARNING: 'Warning',
  ERROR: 'Error',
  TEMPERROR: 'Temporary error',
  TERMINATED: 'Terminated',
};

export const sinces = ['1h', '24h', '7d', '30d'] as const;
export type Since = (typeof sinces)[number];

export const sinceNames: Record<Since, string> = {
  '1h': 'Last hour',
  '24h': 'Last 24 hours',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
};

const hour = 3_600_000;
const sinceLengths: Record<Since, number> = {
  '1h': hour,
  '24h': 24 * hour,
  '7d': 7 * 24 * hour,
  '30d': 30 * 24 * hour,
};

export interface TaskSearch {
  type?: string[];
  status?: Status[];
  source?: string[];
  launcher?: string;
  name?: string;
  since?: Since;
  /** Of a range of one's own, RFC 3339. */
  from?: string;
  to?: string;
  /** Seconds that it took at least, and at most. */
  longer?: number;
  shorter?: number;
  /** An expression of one's own, in place of all of the above. */
  where?: string;
  sort?: TaskSort;
}

type Raw = Record<string, unknown>;

/** Reads a search from a URL, and drops what makes no sense. */
export function readSearch(raw: Raw): TaskSearch {
  const search: TaskSearch = {};
  put(search, 'type', texts(raw.type));
  put(
    search,
    'status',
    texts(raw.status)?.filter((s): s is Status => (statuses as readonly string[]).includes(s)),
  );
  put(search, 'source', texts(raw.source));
  put(search, 'launcher', text(raw.launcher));
  put(search, 'name', text(raw.name));
  put(
    search,
    'since',
    sinces.find((since) => since === raw.since),
  );
  put(search, 'from', time(raw.from));
  put(search, 'to', time(raw.to));
  put(search, 'longer', seconds(raw.longer));
  put(search, 'shorter', seconds(raw.shorter));
  put(search, 'where', text(raw.where));
  put(search, 'sort', sorting(raw.sort));
  return search;
}

function put<K extends keyof TaskSearch>(search: TaskSearch, key: K, value: TaskSearch[K] | undefined) {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return;
  search[key] = value;
}

function text(value: unknown): string | undefined {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' && first.trim() !== '' ? first : undefined;
}

function texts(value: unknown): string[] | undefined {
  const all: unknown[] = Array.isArray(value) ? value : [value];
  return all.filter((one): one is string => typeof one === 'string' && one !== '');
}

function time(value: unknown): string | undefined {
  const given = text(value);
  return given !== undefined && !Number.isNaN(Date.parse(given)) ? given : undefined;
}

function seconds(value: unknown): number | undefined {
  const given = Number(text(value) ?? (typeof value === 'number' ? value : NaN));
  return given > 0 && Number.isFinite(given) ? given : undefined;
}

const sortable = [
  'created',
  'completed',
  'uniqueName',
  'durationMs',
  'target.name',
  'launcher',
  'type',
  'completionStatus',
] as const;
export type SortField = (typeof sortable)[number];
const sorts: TaskSort[] = sortable.flatMap((field) => [field, `-${field}` as const]);

function sorting(value: unknown): TaskSort | undefined {
  return sorts.find((sort) => sort === value);
}

/** Writes a text the way the filter language reads it. */
export function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function among(field: string, values: string[]): string {
  if (values.length === 1) return `${field} eq ${quoted(values[0] ?? '')}`;
  return `${field} in (${values.map(quoted).join(',')})`;
}

/** The filter expression of a search; empty where it asks for everything. */
export function filterOf(search: TaskSearch, now: number): string {
  if (search.where !== undefined) return search.where;
  const parts: string[] = [];
  if (search.type) parts.push(among('type', search.type));
  if (search.status) parts.push(statusPart(search.status));
  if (search.source) parts.push(among('sourceId', search.source));
  if (search.launcher) parts.push(`launcher eq ${quoted(search.launcher)}`);
  if (search.name) parts.push(`uniqueName co ${quoted(search.name)}`);
  if (search.since) parts.push(`created ge ${quoted(new Date(now - sinceLengths[search.since]).toISOString())}`);
  if (search.from) parts.push(`created ge ${quoted(search.from)}`);
  if (search.to) parts.push(`created lt ${quoted(search.to)}`);
  if (search.longer) parts.push(`durationMs ge ${Math.round(search.longer * 1000)}`);
  if (search.shorter) parts.push(`durationMs le ${Math.round(search.shorter * 1000)}`);
  return parts.join(' and ');
}

function statusPart(wanted: Status[]): string {
  const ended = wanted.filter((status) => status !== 'IN_PROGRESS');
  if (ended.length === wanted.length) return among('completionStatus', ended);
  if (ended.length === 0) return 'completionStatus isnull';
  return `(completionStatus isnull or ${among('completionStatus', ended)})`;
}

/** Joins two expressions, each of which may be empty. */
export function both(a: string, b: string): string {
  if (a === '' || b === '') return a || b;
  return `(${a}) and (${b})`;
}

export function idsFilter(ids: string[]): string {
  return among('id', ids);
}

/** Whether anything is filtered at all. */
export function isFiltered(search: TaskSearch): boolean {
  return Object.keys(search).some((key) => key !== 'sort');
}
