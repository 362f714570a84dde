import { expect, it } from 'vitest';
import { csvLine } from './csv';

it.each<[(string | number | null)[], string]>([
  [['a', 1, null], 'a,1,\r\n'],
  [['a,b', 'say "x"', 'two\nlines'], '"a,b","say ""x""","two\nlines"\r\n'],
  [['=1+1', '-x', '@a', -5], "'=1+1,'-x,'@a,-5\r\n"],
])('%j', (cells, want) => {
  expect(csvLine(cells)).toBe(want);
});
