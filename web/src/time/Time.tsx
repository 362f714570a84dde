import { useTimeZone } from '../settings/settings';
import { formatAgo, formatTime } from './format';
import { useNow } from './useNow';

interface TimeProps {
  value: string | null | undefined;
  /** Says how long ago instead, with the time on hover. */
  ago?: boolean;
}

/** A time in the chosen zone; hovering shows it in the other. */
export function Time({ value, ago = false }: TimeProps) {
  const [zone] = useTimeZone();
  const now = useNow(10_000);
  if (!value) return <>–</>;
  const shown = formatTime(value, zone, now);
  const other = formatTime(value, zone === 'utc' ? 'local' : 'utc', now);
  return (
    <time dateTime={value} title={ago ? `${shown}\n${other}` : other}>
      {ago ? formatAgo(Date.parse(value), now) : shown}
    </time>
  );
}
