export type Zone = 'local' | 'utc';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** How long something took or takes, in two units at most. */
export function formatDuration(ms: number): string {
  if (ms < second) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10 * second) return `${(ms / second).toFixed(1)} s`;
  if (ms < minute) return `${Math.round(ms / second)} s`;
  if (ms < hour) return two(ms, minute, 'min', second, 's');
  if (ms < day) return two(ms, hour, 'h', minute, 'min');
  return two(ms, day, 'd', hour, 'h');
}

function two(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const all = Math.round(ms / small);
  const perLarge = large / small;
  const rest = all % perLarge;
  const whole = `${Math.floor(all / perLarge)} ${largeName}`;
  return rest === 0 ? whole : `${whole} ${rest} ${smallName}`;
}

/** How far a time is from now, for people. */
export function formatAgo(time: number, now: number): string {
  const ms = now - time;
  if (Math.abs(ms) < 5 * second) return 'just now';
  const text = roughly(Math.abs(ms));
  return ms >= 0 ? `${text} ago` : `in ${text}`;
}

function roughly(ms: number): string {
  if (ms < minute) return `${Math.round(ms / second)} s`;
  if (ms < hour) return `${Math.round(ms / minute)} min`;
  if (ms < 2 * day) return `${Math.round(ms / hour)} h`;
  return `${Math.round(ms / day)} days`;
}

/** A point in time; the year only where it is not this one. */
export function formatTime(iso: string, zone: Zone, now: number): string {
  const time = new Date(iso);
  const options: Intl.DateTimeFormatOptions = {
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  };
  if (time.getFullYear() !== new Date(now).getFullYear()) options.year = 'numeric';
  if (zone === 'utc') options.timeZone = 'UTC';
  return new Intl.DateTimeFormat('en-GB', options).format(time) + (zone === 'utc' ? ' UTC' : '');
}

/** The name of the browser's time zone, like Europe/Vienna. */
export function localZoneName(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** What an input of type datetime-local takes for a time, and gives back. */
export function toInputTime(iso: string, zone: Zone): string {
  const time = new Date(iso);
  const shifted = zone === 'utc' ? time : new Date(time.getTime() - time.getTimezoneOffset() * minute);
  return shifted.toISOString().slice(0, 16);
}

export function fromInputTime(text: string, zone: Zone): string | undefined {
  if (text === '') return undefined;
  const time = new Date(zone === 'utc' ? `${text}Z` : text);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

/** A time at an axis: as exact as its span is short. */
export function formatTick(time: Date, span: number, zone: Zone): string {
  const options: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  if (span < 10 * minute) options.second = '2-digit';
  if (span > day) Object.assign(options, { month: 'short', day: 'numeric' });
  if (zone === 'utc') options.timeZone = 'UTC';
  return new Intl.DateTimeFormat('en-GB', options).format(time);
}
