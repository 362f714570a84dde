import createClient, { type Middleware } from 'openapi-fetch';
import { reachability } from './reachability';
import type { paths } from './schema';

/** What went wrong, in the words of the server where it has answered. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly status: number,
    message: string,
    /** Under which the server's log has it; empty where the answer named none. */
    readonly trackingId = '',
  ) {
    super(message);
  }

  /** Whether the same request may work a little later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status === 503;
  }
}

interface ErrorBody {
  causes?: { text: string }[];
  error?: string;
  message?: string;
}

export async function errorOf(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => ({}))) as ErrorBody;
  const causes = body.causes?.map((cause) => cause.text).join(' ');
  const text = causes ?? body.error ?? body.message?.trim() ?? `The server answered ${response.status}.`;
  return new ApiError(response.status, text, response.headers.get('X-Request-Id') ?? '');
}

export function isStatus(error: unknown, status: number): boolean {
  return error instanceof ApiError && error.status === status;
}

/** Every request passes here: writes say that they are the console's, failures become ApiErrors. */
const manners: Middleware = {
  onRequest({ request }) {
    if (request.method !== 'GET') request.headers.set('Stint-Console', '1');
  },
  async onResponse({ response }) {
    reachability.heard();
    if (!response.ok) throw await errorOf(response);
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === 'AbortError') return;
    reachability.missed();
    return new ApiError(0, 'The server cannot be reached.');
  },
};

export const api = createClient<paths>({ baseUrl: location.origin });
api.use(manners);

/** The body of an answer. */
export async function bodyOf<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T;
}

/** A page of a list. */
export interface Page<T> {
  items: T[];
  /** How many there are in all, where that was asked for. */
  total: number | null;
  /** Leads to the next page; null on the last. */
  cursor: string | null;
}

export async function pageOf<T>(answer: Promise<{ data?: T[]; response: Response }>): Promise<Page<T>> {
  const { data, response } = await answer;
  const total = response.headers.get('X-Total-Count');
  return {
    items: data ?? [],
    total: total === null ? null : Number(total),
    cursor: cursorIn(response.headers.get('Link')),
  };
}

/** The cursor in the link to the next page (RFC 8288). */
export function cursorIn(link: string | null): string | null {
  const target = /<([^>]*)>\s*;\s*rel="?next"?/.exec(link ?? '')?.[1];
  return target === undefined ? null : new URL(target, 'http://stint').searchParams.get('cursor');
}
