// Launching aggregations with the official client, in all the ways in which it
// sends a file.
//
// usage: node launch.mjs beta|v2024
import { createReadStream, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Blob, File } from 'node:buffer';
import FormData from 'form-data';
import { assert, check, configuration, generation, refusedWith, runChecks, sdk, setup } from './checks.mjs';

const name = process.argv[2];
const api = generation(name, await configuration());
// The same with another library for forms, which can send streams.
const streaming = await configuration();
streaming.formDataCtor = FormData;
const streams = generation(name, streaming);

const csv = 'id,name,groups\nE1,"Abena, Amara",staff\nE2,Zoë Østby,"staff, finance"\nE3,Ngũgĩ,\n';
const path = join(mkdtempSync(join(tmpdir(), 'stint-client-')), 'accounts.csv');
writeFileSync(path, csv);

// completed polls until a task has ended.
async function completed(id) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { data } = await api.tasks.getTaskStatus({ id }); // never a 404, not even at once
    if (data.completionStatus !== null) return data;
    assert.ok(Date.now() < deadline, 'the task does not end');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// aggregates launches and returns the task once it has ended.
async function aggregates(through, file, more) {
  const { status, data } = await through.sources.importAccounts(through.load(setup.source, file, more));
  assert.equal(status, 202);
  assert.equal(data.success, true);
  assert.equal(data.task.type, 'QUARTZ');
  assert.equal(data.task.completionStatus, null);
  const task = await completed(data.task.id);
  assert.equal(task.completionStatus, 'SUCCESS', JSON.stringify(task.messages));
  assert.equal(task.percentComplete, 100);
  assert.equal(task.uniqueName, data.task.name);
  assert.equal(task.attributes.total, 3);
  for (const { attributeName } of task.returns) assert.ok(attributeName in task.attributes, attributeName);
  return task;
}

// unchanged aggregates what is stored already: however it was sent, it is the same.
async function unchanged(through, file) {
  const { attributes } = await aggregates(through, file);
  assert.deepEqual([attributes.created, attributes.updated, attributes.deleted], [0, 0, 0]);
  assert.equal(attributes.optimized, 3);
}

let first;

check('File', async () => {
  first = await aggregates(api, new File([csv], 'accounts.csv', { type: 'text/csv' }));
  assert.equal(first.attributes.created, 3);
});

check('status of an account aggregation', async () => {
  const { status, data } = await api.aggregations.getAccountAggregationStatus({ id: first.id });
  assert.equal(status, 200);
  assert.equal(data.status, 'COMPLETED');
  assert.deepEqual([data.totalAccounts, data.processedAccounts, data.deletedAccounts], [3, 3, 0]);
});

check('its task in a list', async () => {
  const filters = `sourceId eq "${setup.source}" and type eq "CLOUD_ACCOUNT_AGGREGATION"`;
  const { data } = await api.tasks.getTaskStatusList({ filters });
  assert.deepEqual(data.map((t) => t.id), [first.id]);
});

check('File without a type', () => unchanged(api, new File([csv], 'accounts')));
check('Blob', () => unchanged(api, new Blob([csv])));
check('Buffer', () => unchanged(api, Buffer.from(csv)));
check('string', () => unchanged(api, csv));
check('stream', () => unchanged(streams, createReadStream(path)));
check('Buffer through form-data', () => unchanged(streams, Buffer.from(csv)));
check('string through form-data', () => unchanged(streams, csv));

check('disableOptimization', async () => {
  const { attributes } = await aggregates(api, new File([csv], 'accounts.csv'), { disableOptimization: 'true' });
  assert.equal(attributes.optimized, 0);
  assert.equal(attributes.optimizedAggregation, 'disabled');
});

// The built-in form sends a stream as the text [object Object].
check('[object Object]', () =>
  refusedWith(400, '400.1.3 Illegal value', ['[object Object]', "in place of the file's content"],
    api.sources.importAccounts(api.load(setup.source, createReadStream(path)))));

check('no file', () =>
  refusedWith(400, '400.1.3 Illegal value', ['file'], api.sources.importAccounts(api.load(setup.source))));

check('a file without the account id', () =>
  refusedWith(400, '400.1.3 Illegal value', ['id'],
    api.sources.importAccounts(api.load(setup.source, new File(['name,groups\nA,b\n'], 'x.csv')))));

check('an unknown source', () =>
  refusedWith(404, '404.0 Not Found', ['source'],
    api.sources.importAccounts(api.load('0123456789abcdef0123456789abcdef', new File([csv], 'x.csv')))));

check('what was refused left no task', async () => {
  const { headers } = await api.tasks.getTaskStatusList({ filters: `sourceId eq "${setup.source}"`, count: true, limit: 0 });
  assert.equal(headers['x-total-count'], '9');
});

check('uncorrelated accounts', () =>
  refusedWith(404, '404.0 Not Found', ['uncorrelated'],
    api.sources.importUncorrelatedAccounts(api.load(setup.source, new File([csv], 'x.csv')))));

// Only this generation of the client has it.
if (name === 'beta') {
  check('entitlements', async () => {
    const file = new File(['id,displayName\nstaff,All staff\nfinance,Finance\n'], 'entitlements.csv');
    const { status, data } = await api.sources.importEntitlements({ sourceId: setup.source, file });
    assert.equal(status, 202);
    assert.equal(data.success, undefined, 'no envelope');
    const task = await completed(data.id);
    assert.equal(task.completionStatus, 'SUCCESS', JSON.stringify(task.messages));
    assert.equal(task.attributes.total, 2);
    // It is no aggregation of accounts.
    await refusedWith(404, '404.0 Not Found', [data.id], api.aggregations.getAccountAggregationStatus({ id: data.id }));
  });
}

await runChecks();
