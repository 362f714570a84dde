// Every error that the official client can meet, with its body.
//
// usage: node errors.mjs beta|v2024
import { assert, check, configuration, generation, ids, refused, refusedWith, runChecks, setup, tasks, withToken } from './checks.mjs';

const name = process.argv[2];
const admin = await configuration();
const api = generation(name, admin);
const stuck = tasks.find((t) => t.launcher === 'patcher').id;
const clearing = [{ op: 'replace', path: '/completionStatus', value: 'Error' }];

const list = (parameters) => api.tasks.getTaskStatusList(parameters);
const clear = (as, id = stuck, operations = clearing) => as.tasks.updateTaskStatus(as.patch(id, operations));

check('400 limit', async () => {
  for (const limit of [251, -1, 'abc', 1.5]) {
    await refusedWith(400, '400.1.3 Illegal value', ['limit', String(limit), '250'], list({ limit }));
  }
});

check('400 field of a filter', () =>
  refusedWith(400, '400.1 Bad Request Content', ['name', 'launcher'], list({ filters: 'name eq "x"' })));

check('400 operator of a filter', () =>
  refusedWith(400, '400.0 Bad Request Syntax', ['EQ'], list({ filters: 'id EQ "x"' })));

check('400 value of a filter', () =>
  refusedWith(400, '400.1.3 Illegal value', ['NOT_A_KIND', 'IDENTITY_REFRESH'], list({ filters: 'type eq "NOT_A_KIND"' })));

check('400 sorters', () => refusedWith(400, '400.1.3 Illegal value', ['sorters', 'name'], list({ sorters: 'name' })));

check('400 value of a clear', () =>
  refusedWith(400, '400.1.3 Illegal value', ['Done', 'SUCCESS'],
    clear(api, stuck, [{ op: 'replace', path: '/completionStatus', value: 'Done' }])));

check('404 unknown task', async () => {
  await refusedWith(404, '404.0 Not Found', [], api.tasks.getTaskStatus({ id: '0123456789abcdef0123456789abcdef' }));
  await refusedWith(404, '404.0 Not Found', [], api.tasks.getTaskStatus({ id: 'a b/c?d%' }));
  await refusedWith(404, '404.0 Not Found', [], clear(api, '0123456789abcdef0123456789abcdef'));
});

// unauthorized is the answer to a token that is none.
async function unauthorized(cfg, words) {
  const as = generation(name, cfg);
  const calls = [() => as.tasks.getTaskStatusList(), () => as.tasks.getTaskStatus({ id: stuck }), () => clear(as)];
  for (const call of calls) {
    const { data, headers } = await refused(401, call());
    assert.deepEqual(Object.keys(data), ['error']);
    assert.match(data.error, /^JWT validation failed: /);
    assert.match(data.error, words);
    assert.match(headers['www-authenticate'], /^Bearer /);
  }
}

check('401 no token', () => unauthorized(withToken(undefined), /no token/));
check('401 no JWT', () => unauthorized(withToken('not-a-token'), /malformed/));
check('401 changed token', async () => {
  const [header, payload, signature] = (await admin.accessToken).split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  claims.exp += 3600;
  const changed = Buffer.from(JSON.stringify(claims)).toString('base64url');
  await unauthorized(withToken([header, changed, signature].join('.')), /signature/);
});
check('401 another server\'s token', async () => {
  const theirs = await configuration(setup.limited.admin, setup.limited.url);
  await unauthorized(withToken(await theirs.accessToken), /issuer/);
});

// forbidden is the answer to a clear by a client that may read.
async function forbidden(client, texts) {
  const as = generation(name, await configuration(client));
  assert.equal((await as.tasks.getTaskStatusList({ limit: 1 })).status, 200);
  await refusedWith(403, '403.0 Forbidden', texts, clear(as));
}

check('403 helpdesk', () => forbidden(setup.helpdesk, ['user level', 'HELPDESK']));
check('403 scope', () => forbidden(setup.reader, ['scope', 'idn:task-management:write']));
check('403 application', () => forbidden(setup.application, ['user', 'application']));
check('403 other source', () => forbidden(setup.subadmin, ['source']));
check('403 nothing of it was done', async () => {
  const { data } = await api.tasks.getTaskStatus({ id: stuck });
  assert.equal(data.completionStatus, null);
});

check('429', async () => {
  const as = generation(name, await configuration(setup.limited.admin, setup.limited.url));
  for (let i = 0; i < setup.limited.requests; i += 1) {
    assert.equal((await as.tasks.getTaskStatusList()).status, 200);
  }
  const { data, headers } = await refused(429, as.tasks.getTaskStatusList());
  assert.deepEqual(data, { message: ' Rate Limit Exceeded ' });
  assert.match(headers['retry-after'], /^[1-9][0-9]*$/);
});

// A token of an identity provider that is away: nobody can say what it is worth.
check('503', async () => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 300;
  const token = `${part({ alg: 'RS256', kid: 'x' })}.${part({ iss: setup.away, aud: 'urn:stint', exp })}.AAAA`;
  const as = generation(name, withToken(token));
  for (const call of [() => as.tasks.getTaskStatusList(), () => clear(as)]) {
    const headers = await refusedWith(503, '503.0 Service Unavailable', ['identity provider'], call());
    assert.match(headers['retry-after'], /^[1-9][0-9]*$/);
  }
  assert.equal((await list({ limit: 1 })).status, 200, 'other tokens are good all the while');
});

check('all is as it was', async () => {
  const { data } = await list({ filters: 'launcher eq "patcher"' });
  assert.deepEqual(ids(data), ids(tasks.filter((t) => t.launcher === 'patcher')));
  assert.ok(data.every((t) => t.completionStatus === null));
});

await runChecks();
