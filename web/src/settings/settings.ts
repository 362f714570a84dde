import { useLocalStorage } from '@mantine/hooks';
import type { Zone } from '../time/format';

/** What the console remembers in the browser; all of it starts here. */
function useSetting<T>(key: string, defaultValue: T) {
  return useLocalStorage<T>({ key: `stint-${key}`, defaultValue, getInitialValueInEffect: false });
}

export function useTimeZone() {
  return useSetting<Zone>('zone', 'local');
}

/** Whether live updates are held. */
export function useHeld() {
  return useSetting('held', false);
}

export function useHiddenColumns(table: string, hidden: string[]) {
  return useSetting<string[]>(`hidden-${table}`, hidden);
}

export interface SavedView {
  name: string;
  /** The search part of its URL. */
  search: string;
}

export function useSavedViews() {
  return useSetting<SavedView[]>('views', []);
}
