import { useSyncExternalStore } from 'react';

type Listener = () => void;

/** Whether the server answers, as the last request found it. */
class Reachability {
  /** When the server first failed to answer; null while it answers. */
  private since: number | null = null;
  private readonly listeners = new Set<Listener>();

  readonly subscribe = (listener: Listener) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  readonly lostSince = () => this.since;

  heard() {
    this.set(null);
  }

  missed() {
    this.set(this.since ?? Date.now());
  }

  private set(since: number | null) {
    if (since === this.since) return;
    this.since = since;
    this.listeners.forEach((listener) => {
      listener();
    });
  }
}

export const reachability = new Reachability();

/** When the server was last heard of before it went away; null while it answers. */
export function useLostSince(): number | null {
  return useSyncExternalStore(reachability.subscribe, reachability.lostSince);
}
