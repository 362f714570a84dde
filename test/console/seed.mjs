// Makes up tasks for `stint import`, the same ones each time but for the clock: a year of
// nights of a few sources and jobs, with what goes wrong in them.
//
// usage: node seed.mjs COUNT >tasks.ndjson
import { createHash } from 'node:crypto';

const count = Number(process.argv[2] ?? 1000);
const now = Date.now();
const minute = 60_000;
const day = 24 * 60 * minute;

// A generator that is the same everywhere (mulberry32).
let state = 20261125;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const pick = (list) => list[Math.floor(random() * list.length)];
const idOf = (text) => createHash('sha256').update(text).digest('hex').slice(0, 32);
const at = (time) => new Date(time).toISOString();

const sources = ['HR', 'Directory', 'Payroll', 'Badge system', 'SAP Finance', 'Contractors'].map((name) => ({
  id: idOf(`source ${name}`),
  name,
}));
const jobs = [
  ...sources.map((source) => ({ kind: 'CLOUD_ACCOUNT_AGGREGATION', name: `Accounts of ${source.name}`, source, usual: 8 * minute })),
  ...sources.slice(0, 3).map((source) => ({ kind: 'CLOUD_GROUP_AGGREGATION', name: `Entitlements of ${source.name}`, source, usual: 3 * minute })),
  { kind: 'IDENTITY_REFRESH', name: 'Nightly identity refresh', usual: 35 * minute },
  { kind: 'CLOUD_REFRESH_ROLE', name: 'Refresh of all roles', usual: 1 * minute },
];
const failures = [
  ['ERROR', 'connection_refused', 'Connection refused by ldap.example.com:389'],
  ['ERROR', 'file_missing', 'The file accounts.csv did not arrive'],
  ['TEMPERROR', 'worker_lost', 'Its worker fell silent for longer than its heartbeat limit of 60 s'],
  ['WARNING', 'rows_skipped', '12 rows have no account id'],
];

function task(index, job, created) {
  const roll = random();
  const failure = roll < 0.04 ? failures[0] : roll < 0.05 ? failures[1] : roll < 0.06 ? failures[2] : roll < 0.12 ? failures[3] : null;
  const launched = created + 500 + Math.floor(random() * 4000);
  const completed = launched + Math.floor(job.usual * (0.7 + random() * 0.7));
  const message = failure && {
    type: failure[0] === 'WARNING' ? 'WARN' : 'ERROR',
    key: failure[1],
    localizedText: { locale: 'en', message: failure[2] },
    parameters: [],
  };
  const total = 2000 + Math.floor(random() * 30_000);
  return {
    id: idOf(`task ${index}`),
    kind: job.kind,
    sourceId: job.source?.id ?? null,
    type: 'QUARTZ',
    uniqueName: job.name,
    description: '',
    parentName: null,
    launcher: pick(['nightly', 'nightly', 'nightly', 'ana.lopez', 'System']),
    target: job.source ? { id: job.source.id, type: 'APPLICATION', name: job.source.name } : null,
    created: at(created),
    launched: at(launched),
    completed: at(completed),
    modified: at(completed),
    completionStatus: failure?.[0] ?? 'SUCCESS',
    messages: message ? [message] : [],
    returns: [{ name: 'TASK_OUT_ACCOUNT_AGGREGATION_TOTAL', attributeName: 'total' }],
    attributes: { total },
    progress: `${total} processed`,
    percentComplete: 100,
  };
}

/** One that is still in progress. */
function running(index, job, created, percent) {
  const all = task(index, job, created);
  return {
    ...all,
    modified: at(Math.min(now, Date.parse(all.launched) + minute)),
    completed: null,
    completionStatus: null,
    messages: [],
    percentComplete: percent,
    progress: `Comparing accounts, ${percent * 90} of 9,000`,
  };
}

const lines = [];
const span = 80 * day;
for (let i = 0; i < count; i++) {
  // The newest are an hour old, so that what a test starts is new.
  const created = now - 60 * minute - Math.floor((span * i) / count) - Math.floor(random() * 1000);
  lines.push(task(i, jobs[i % jobs.length], created));
}
lines.push(running(count, jobs[1], now - 3 * minute, 62));
lines.push(running(count + 1, jobs[4], now - 5 * minute, 18));
lines.push(running(count + 2, jobs[0], now - 31 * 60 * minute, 40));
for (let i = 0; i < 8; i++) lines.push(running(count + 10 + i, { ...jobs[5], name: `Stuck import ${i + 1}` }, now - (26 + i) * 60 * minute, 5));
for (let at = 0; at < lines.length; at += 1000) {
  process.stdout.write(lines.slice(at, at + 1000).map((line) => JSON.stringify(line)).join('\n') + '\n');
}
