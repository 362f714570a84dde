import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useRef, useSyncExternalStore } from 'react';
import type { Task } from '../api/types';
import { sessionQuery } from '../session/session';
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

interface TaskEvents {
  /** A task that matches has changed; this is how it is now. */
  onTask: (task: Task) => void;
  /** Changes may have been missed: ask again. */
  onGap: () => void;
}

/**
 * Follows the tasks that match the filters, unless live updates are held. Without filters (null)
 * nothing is followed.
 */
export function useTaskEvents(filters: string | null, { onTask, onGap }: TaskEvents) {
  const [held] = useHeld();
  const queryClient = useQueryClient();
  const told = useEffectEvent(onTask);
  const missed = useEffectEvent(onGap);
  // Other filters go on where those before them were.
  const after = useRef('');
  useEffect(() => {
    if (filters === null) return;
    if (held) {
      liveState.set('held');
      return () => liveState.set(null);
    }
    const stream = new TaskStream({
      filters,
      after: after.current,
      onTask: (task) => told(task),
      onGap: () => missed(),
      onEvent: (id) => {
        after.current = id;
      },
      onRefused: () => void queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey, exact: true }),
      onState: liveState.set,
    });
    return () => {
      stream.close();
      liveState.set(null);
    };
  }, [filters, held, queryClient]);
}
