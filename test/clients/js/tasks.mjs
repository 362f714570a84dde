// Listing, counting, paging and clearing with the official client.
//
// usage: node tasks.mjs beta|v2024
import { assert, check, configuration, generation, ids, refusedWith, reversed, runChecks, sdk, setup, tasks } from './checks.mjs';

const cfg = await configuration();
const api = generation(process.argv[2], cfg);

// lists checks that a filter selects what a function selects of what was imported.
async function lists(filters, selected, more = {}) {
  const want = tasks.filter(selected);
  assert.ok(want.length > 0 && want.length < tasks.length, 'the filter selects something, and not everything');
  const { status, data, headers } = await api.tasks.getTaskStatusList({ filters, count: true, ...more });
  assert.equal(status, 200);
  assert.deepEqual(ids(data), ids(want).slice(0, 250));
  assert.equal(headers['x-total-count'], String(want.length));
}

const { id, sourceId } = tasks[5];
const other = tasks.find((t) => t.sourceId && t.sourceId !== sourceId);
assert.ok(sourceId);

check('list', async () => {
  const { status, data, headers } = await api.tasks.getTaskStatusList();
  assert.equal(status, 200);
  assert.deepEqual(ids(data), ids(tasks).slice(0, 250));
  assert.equal(headers['x-total-count'], undefined, 'nobody asked for a count');
});

check('limit, offset, sorters', async () => {
  const { data } = await api.tasks.getTaskStatusList({ limit: 10, offset: 990, sorters: 'created', filters: '', count: false });
  assert.deepEqual(ids(data), ids(reversed(tasks)).slice(990, 1000));
});

check('past the end', async () => {
  const { status, data } = await api.tasks.getTaskStatusList({ offset: tasks.length });
  assert.equal(status, 200);
  assert.deepEqual(data, []);
});

check('count alone', async () => {
  const { data, headers } = await api.tasks.getTaskStatusList({ limit: 0, count: true });
  assert.deepEqual(data, []);
  assert.equal(headers['x-total-count'], String(tasks.length));
});

check('id eq', () => lists(`id eq "${id}"`, (t) => t.id === id));
check('id in', () => lists(`id in ("${id}", "${other.id}")`, (t) => t.id === id || t.id === other.id));
check('sourceId eq', () => lists(`sourceId eq "${sourceId}"`, (t) => t.sourceId === sourceId));
check('sourceId in', () =>
  lists(`sourceId in ("${sourceId}","${other.sourceId}")`, (t) => [sourceId, other.sourceId].includes(t.sourceId)));
check('completionStatus eq', () => lists('completionStatus eq "WARNING"', (t) => t.completionStatus === 'WARNING'));
check('completionStatus in', () =>
  lists('completionStatus in ("Error", "TempError")', (t) => ['ERROR', 'TEMPERROR'].includes(t.completionStatus)));
check('completionStatus isnull', () => lists('completionStatus isnull', (t) => t.completionStatus === null));
check('type eq', () => lists('type eq "IDENTITY_REFRESH"', (t) => t.kind === 'IDENTITY_REFRESH'));
check('type in', () =>
  lists('type in ("CLOUD_ACCOUNT_AGGREGATION", "CLOUD_GROUP_AGGREGATION")', (t) => t.kind.startsWith('CLOUD_')));
check('launcher eq', () => lists('launcher eq "patcher"', (t) => t.launcher === 'patcher'));
check('launcher in', () => lists('launcher in ("patcher", "nobody")', (t) => t.launcher === 'patcher'));
check('and, or, not', () =>
  lists(
    `(sourceId eq "${sourceId}" or launcher eq "patcher") and not completionStatus isnull`,
    (t) => (t.sourceId === sourceId || t.launcher === 'patcher') && t.completionStatus !== null,
  ));
check('sorters with a filter', async () => {
  const { data } = await api.tasks.getTaskStatusList({ filters: 'launcher eq "patcher"', sorters: 'created' });
  assert.deepEqual(ids(data), reversed(ids(tasks.filter((t) => t.launcher === 'patcher'))));
});

check('get', async () => {
  const { status, data } = await api.tasks.getTaskStatus({ id });
  assert.equal(status, 200);
  const want = tasks[5];
  for (const key of ['id', 'type', 'uniqueName', 'launcher', 'created', 'completed', 'completionStatus', 'percentComplete']) {
    assert.deepEqual(data[key], want[key], key);
  }
});

const pending = tasks.filter((t) => t.completionStatus === null);

check('pending tasks', async () => {
  const { data, headers } = await api.tasks.getPendingTasks({ count: true });
  assert.deepEqual(ids(data), ids(pending));
  assert.equal(headers['x-total-count'], String(pending.length));
  assert.ok(headers.deprecation);
  assert.match(headers.link, /rel="successor-version"/);
});

check('pending tasks, a part', async () => {
  const { data } = await api.tasks.getPendingTasks({ offset: 3, limit: 4 });
  assert.deepEqual(ids(data), ids(pending).slice(3, 7));
});

check('headers of pending tasks', async () => {
  const { status, data, headers } = await api.tasks.getPendingTaskHeaders({ count: true });
  assert.equal(status, 200);
  assert.ok(!data, 'a HEAD has no body');
  assert.equal(headers['x-total-count'], String(pending.length));
});

// pages walks through the 1,000 tasks of the launcher sweep.
async function pages(increment, limit) {
  const want = ids(tasks.filter((t) => t.launcher === 'sweep'));
  assert.equal(want.length, 1000);
  const got = await sdk.Paginator.paginate(
    api.tasks, api.tasks.getTaskStatusList, { filters: 'launcher eq "sweep"', limit }, increment,
  );
  return { got: ids(got.data), want };
}

// It asks once more, at the end, and must get an empty list.
check('all pages of 250, an exact multiple', async () => {
  const { got, want } = await pages(undefined);
  assert.deepEqual(got, want);
});

check('all pages of 100, an exact multiple', async () => {
  const { got, want } = await pages(100);
  assert.deepEqual(got, want);
});

check('all pages of 17', async () => {
  const { got, want } = await pages(17);
  assert.deepEqual(got, want);
});

// A limit is a floor to the paginator.
check('pages up to a limit', async () => {
  const { got, want } = await pages(3, 20);
  assert.deepEqual(got, want.slice(0, 21));
});

check('all pages without a filter', async () => {
  const got = await sdk.Paginator.paginate(api.tasks, api.tasks.getTaskStatusList, { sorters: 'created' });
  assert.deepEqual(ids(got.data), reversed(ids(tasks)));
});

const [stuck, another] = pending.filter((t) => t.launcher === 'patcher');
const clearing = [
  { op: 'replace', path: '/completionStatus', value: 'Error' },
  { op: 'replace', path: '/completed', value: '2024-05-17T19:33:16.470Z' },
];
let cleared;

check('clear', async () => {
  const { status, data } = await api.tasks.updateTaskStatus(api.patch(stuck.id, clearing));
  assert.equal(status, 200);
  assert.equal(data.completionStatus, 'ERROR');
  assert.equal(data.completed, '2024-05-17T19:33:16.470Z');
  for (const key of ['id', 'type', 'uniqueName', 'launcher', 'created', 'percentComplete']) {
    assert.deepEqual(data[key], stuck[key], key);
  }
  cleared = data;
  assert.deepEqual((await api.tasks.getTaskStatus({ id: stuck.id })).data, cleared);
});

// The client repeats a PATCH when a connection breaks.
check('clear again', async () => {
  const { status, data } = await api.tasks.updateTaskStatus(api.patch(stuck.id, clearing));
  assert.equal(status, 200);
  assert.deepEqual(data, cleared);
});

check('clear otherwise', () =>
  refusedWith(400, '400.1.1 Illegal update attempt', ['ERROR'], api.tasks.updateTaskStatus(
    api.patch(stuck.id, [{ op: 'replace', path: '/completionStatus', value: 'Success' }]))));

check('clear without a time', async () => {
  const before = Date.now();
  const { data } = await api.tasks.updateTaskStatus(
    api.patch(another.id, [{ op: 'replace', path: '/completionStatus', value: 'Terminated' }]));
  assert.equal(data.completionStatus, 'TERMINATED');
  const completed = Date.parse(data.completed);
  assert.ok(completed >= before && completed <= Date.now(), data.completed);
});

check('what was cleared is not pending', async () => {
  const { data } = await api.tasks.getPendingTasks();
  assert.deepEqual(ids(data), ids(pending).filter((one) => one !== stuck.id && one !== another.id));
});

check('change something else', () =>
  refusedWith(400, '400.1.1 Illegal update attempt', ['/launcher'], api.tasks.updateTaskStatus(
    api.patch(pending.at(-1).id, [{ op: 'replace', path: '/launcher', value: 'me' }]))));

await runChecks();
