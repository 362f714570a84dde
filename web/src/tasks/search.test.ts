import { describe, expect, it } from 'vitest';
import { parseSearch, stringifySearch } from '../app/url';
import { both, filterOf, quoted, readSearch, type TaskSearch } from './search';

const now = Date.parse('2026-11-25T12:00:00Z');

describe('filterOf', () => {
  const cases: [string, TaskSearch, string][] = [
    ['nothing', {}, ''],
    ['sorting alone', { sort: '-created' }, ''],
    ['one type', { type: ['IDENTITY_REFRESH'] }, 'type eq "IDENTITY_REFRESH"'],
    ['two types', { type: ['A', 'B'] }, 'type in ("A","B")'],
    ['in progress', { status: ['IN_PROGRESS'] }, 'completionStatus isnull'],
    ['failed', { status: ['ERROR', 'TEMPERROR'] }, 'completionStatus in ("ERROR","TEMPERROR")'],
    ['both', { status: ['IN_PROGRESS', 'ERROR'] }, '(completionStatus isnull or completionStatus eq "ERROR")'],
    ['since', { since: '24h' }, 'created ge "2026-11-24T12:00:00.000Z"'],
    ['took long', { longer: 1.5, name: 'a "b" \\' }, 'uniqueName co "a \\"b\\" \\\\" and durationMs ge 1500'],
    ['an expression', { where: 'id eq "x"', type: ['A'] }, 'id eq "x"'],
  ];
  it.each(cases)('%s', (_, search, want) => {
    expect(filterOf(search, now)).toBe(want);
  });
});

describe('the URL', () => {
  it('brings back what it was given', () => {
    const search: TaskSearch = {
      type: ['A', 'B&C'],
      status: ['ERROR'],
      name: 'ä "quoted" + plus, comma',
      launcher: '123',
      longer: 60,
      from: '2026-11-24T12:00:00.000Z',
      sort: '-durationMs',
    };
    expect(readSearch(parseSearch(stringifySearch({ ...search })))).toEqual(search);
  });

  it('drops what makes no sense', () => {
    const url = '?status=NONE&status=ERROR&since=9y&longer=-1&shorter=x&from=yesterday&sort=secret&other=1&type=';
    expect(readSearch(parseSearch(url))).toEqual({ status: ['ERROR'] });
  });

  it('keeps texts that look like numbers', () => {
    expect(readSearch(parseSearch('?name=007&launcher=true'))).toEqual({ name: '007', launcher: 'true' });
  });
});

it('joins expressions', () => {
  expect(both('', 'a')).toBe('a');
  expect(both('a or b', 'c')).toBe('(a or b) and (c)');
  expect(quoted('')).toBe('""');
});
