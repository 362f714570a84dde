/**
 * The search part of URLs, as people read it: ?status=ERROR&status=WARNING. Values are texts,
 * and never JSON.
 */

export function parseSearch(search: string): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = {};
  for (const [key, value] of new URLSearchParams(search)) {
    const before = all[key];
    all[key] = before === undefined ? value : [before, value].flat();
  }
  return all;
}

export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    for (const one of [value].flat()) {
      if (typeof one === 'string' || typeof one === 'number') params.append(key, String(one));
    }
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}
