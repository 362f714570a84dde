// What all checks share: their list, how they are run and told, and what the
// server was set up with.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import sdk from 'sailpoint-api-client';

export { assert, sdk };

// What the test started and made, as it says in the environment.
export const setup = JSON.parse(process.env.SETUP);

// The tasks that were imported, in the order of a list: newest first, ties by id.
export const tasks = setup.tasks
  ? readFileSync(setup.tasks, 'utf8').trim().split('\n').map((line) => JSON.parse(line)).sort(newestFirst)
  : [];

function newestFirst(a, b) {
  return a.created === b.created ? (a.id < b.id ? 1 : -1) : a.created < b.created ? 1 : -1;
}

export const ids = (list) => list.map((t) => t.id);
export const reversed = (list) => [...list].reverse();

const all = [];

// check adds a check. They run in their order, since some build on what others did.
export function check(name, run) {
  all.push({ name, run });
}

// runChecks prints one line of JSON for each check.
export async function runChecks() {
  for (const { name, run } of all) {
    const result = { check: name };
    try {
      await run();
      result.ok = true;
    } catch (err) {
      result.error = `${err.stack}\n${JSON.stringify(err.response?.data ?? null)}`;
    }
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}

// The two generations of the API that the client speaks and Stint serves.
const generations = {
  beta: {
    tasks: sdk.TaskManagementBetaApi,
    sources: sdk.SourcesBetaApi,
    aggregations: sdk.AccountAggregationsBetaApi,
    operations: 'jsonPatchOperationBeta',
    source: 'sourceId',
  },
  v2024: {
    tasks: sdk.TaskManagementV2024Api,
    sources: sdk.SourcesV2024Api,
    aggregations: sdk.AccountAggregationsV2024Api,
    operations: 'jsonPatchOperationV2024',
    source: 'id',
  },
};

// generation returns the named generation's APIs for a configuration.
export function generation(name, cfg) {
  const of = generations[name];
  return {
    tasks: new of.tasks(cfg),
    sources: new of.sources(cfg),
    aggregations: new of.aggregations(cfg),
    patch: (id, operations) => ({ id, [of.operations]: operations }),
    load: (id, file, more) => ({ [of.source]: id, file, ...more }),
  };
}

// configuration signs a client of the setup in.
export async function configuration(client = setup.admin, baseurl = setup.url) {
  const cfg = new sdk.Configuration({
    baseurl, tokenUrl: `${baseurl}/oauth/token`, clientId: client.id, clientSecret: client.secret,
  });
  // The client throws before it sends what it takes for an experiment.
  cfg.experimental = true;
  await cfg.accessToken;
  return cfg;
}

// withToken uses an access token as it is; undefined sends none.
export function withToken(token, baseurl = setup.url) {
  const cfg = new sdk.Configuration({ baseurl, accessToken: token ?? 'none' });
  cfg.experimental = true;
  cfg.accessToken = token;
  return cfg;
}

// refused returns the answer to a call that must be refused with a status.
export async function refused(status, call) {
  try {
    await call;
  } catch (err) {
    assert.equal(err.response?.status, status, err.message);
    return err.response;
  }
  return assert.fail(`was answered, not refused with ${status}`);
}

// refusedWith checks the original's form of an error too, and what its cause holds.
export async function refusedWith(status, detailCode, texts, call) {
  const { data, headers } = await refused(status, call);
  assert.equal(data.detailCode, detailCode);
  assert.match(data.trackingId, /^[0-9a-f]{32}$/);
  assert.equal(headers['x-request-id'], data.trackingId);
  assert.ok(data.messages[0].text.length > 0);
  for (const text of texts) {
    assert.ok(data.causes[0].text.includes(text), `${JSON.stringify(data.causes)} does not hold ${text}`);
  }
  return headers;
}
