import { useEffect, useEffectEvent, useSyncExternalStore } from 'react';
import type { Task } from '../api/types';
import { useHeld } from '../settings/settings';
import { TaskStream, type StreamState } from './stream';

/** What the switch in the header shows: the state of the page's stream; null where it has none. */
class LiveState {
  private state: StreamState | null = null;
  private readonly listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  readonly get = () => this.state;

  readonly set = (state: StreamState | null) => {
    if (state === this.state) return;
    this.state = state;
    this.listeners.forEach((listener) => {
      listener();
    });
  };
}

const liveState = new LiveState();

export function useLiveState(): StreamState | null {
  return useSyncExternalStore(liveState.subscribe, liveState.get);
}

/**
 * Calls onTask for every task that matches the filters and changes, as it is then, unless live
 * updates are held. Without filters (null) nothing is watched.
 */
export function useTaskEvents(filters: string | null, onTask: (task: Task) => void) {
  const [held] = useHeld();
  const told = useEffectEvent(onTask);
  useEffect(() => {
    if (filters === null) return;
    if (held) {
      liveState.set('held');
      return () => liveState.set(null);
    }
    const stream = new TaskStream({ filters, onTask: (task) => told(task), onState: liveState.set });
    return () => {
      stream.close();
      liveState.set(null);
    };
  }, [filters, held]);
}
