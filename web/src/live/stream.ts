import type { Task } from '../api/types';

/** How live updates are doing. */
export type StreamState = 'connecting' | 'live' | 'held' | 'waiting' | 'hidden';

interface Watch {
  filters: string;
  /** Behind which event to go on; empty is now. */
  after: string;
  onTask: (task: Task) => void;
  /** Changes may have been missed: whatever is shown must be asked for again. */
  onGap: () => void;
  onEvent: (id: string) => void;
  /** The server does not let the stream begin: whoever is signed in may not be any more. */
  onRefused: () => void;
  onState: (state: StreamState) => void;
}

const firstWait = 2_000;
const longestWait = 60_000;

/**
 * The change feed of the tasks that match a filter. It goes on after whatever breaks it, with
 * what was missed; waits longer each time that it is refused; and rests while the page is
 * hidden.
 */
export class TaskStream {
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wait = firstWait;
  private after: string;

  constructor(private readonly watch: Watch) {
    this.after = watch.after;
    document.addEventListener('visibilitychange', this.look);
    this.look();
  }

  close() {
    document.removeEventListener('visibilitychange', this.look);
    this.disconnect();
  }

  private readonly look = () => {
    if (document.hidden) {
      this.disconnect();
      this.watch.onState('hidden');
    } else if (this.source === null) {
      this.connect();
    }
  };

  private disconnect() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  private connect() {
    this.disconnect();
    this.watch.onState('connecting');
    const params = new URLSearchParams();
    if (this.watch.filters !== '') params.set('filters', this.watch.filters);
    if (this.after !== '') params.set('lastEventId', this.after);
    const source = new EventSource(`/stint/v1/tasks/events?${params.toString()}`);
    this.source = source;
    const remember = (event: MessageEvent) => {
      this.after = event.lastEventId;
      this.watch.onEvent(event.lastEventId);
      this.wait = firstWait;
      this.watch.onState('live');
    };
    source.addEventListener('ready', (event) => {
      const isFirst = this.after === '';
      remember(event);
      if (isFirst) this.watch.onGap();
    });
    source.addEventListener('reset', (event) => {
      remember(event);
      this.watch.onGap();
    });
    for (const name of ['queued', 'running', 'completed']) {
      source.addEventListener(name, (event: MessageEvent<string>) => {
        remember(event);
        this.watch.onTask(JSON.parse(event.data) as Task);
      });
    }
    source.onerror = () => {
      this.watch.onState('waiting');
      // The browser connects again by itself unless the server has refused.
      if (source.readyState !== EventSource.CLOSED) return;
      this.disconnect();
      this.watch.onRefused();
      this.timer = setTimeout(() => this.look(), this.wait);
      this.wait = Math.min(this.wait * 2, longestWait);
    };
  }
}
