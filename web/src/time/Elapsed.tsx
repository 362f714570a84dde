import { formatDuration } from './format';
import { useNow } from './useNow';

/** How long something took, or has taken so far. */
export function Elapsed({ from, to }: { from: string | null; to: string | null }) {
  if (from === null) return <>–</>;
  if (to === null) return <Running from={from} />;
  return <span className="tabular">{formatDuration(Date.parse(to) - Date.parse(from))}</span>;
}

function Running({ from }: { from: string }) {
  const now = useNow(1_000);
  return <span className="tabular">{formatDuration(now - Date.parse(from))}</span>;
}
