// How the official client is told where a Stint is, and gets its access token.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, check, runChecks, sdk, setup } from './checks.mjs';

const { admin } = setup;

// works asks for a task with a configuration, as a program would first.
async function works(cfg) {
  const token = await cfg.accessToken;
  assert.equal(token.split('.').length, 3, 'the access token is a JWT');
  const { status, data } = await new sdk.TaskManagementBetaApi(cfg).getTaskStatusList({ limit: 1 });
  assert.equal(status, 200);
  assert.equal(data.length, 1);
}

// inDirectory runs in a directory of its own, which is the home directory too.
async function inDirectory(run) {
  const before = { cwd: process.cwd(), home: process.env.HOME };
  const directory = mkdtempSync(join(tmpdir(), 'stint-client-'));
  process.chdir(directory);
  process.env.HOME = directory;
  try {
    await run(directory);
  } finally {
    process.chdir(before.cwd);
    process.env.HOME = before.home;
  }
}

async function withEnvironment(variables, run) {
  Object.assign(process.env, variables);
  try {
    await run();
  } finally {
    Object.keys(variables).forEach((name) => delete process.env[name]);
  }
}

const environment = (url) => ({ SAIL_BASE_URL: url, SAIL_CLIENT_ID: admin.id, SAIL_CLIENT_SECRET: admin.secret });

check('environment', () => withEnvironment(environment(setup.url), () => works(new sdk.Configuration())));

check('environment, trailing slash', () =>
  withEnvironment(environment(`${setup.url}/`), () => works(new sdk.Configuration())));

check('parameters', () =>
  works(new sdk.Configuration({
    baseurl: setup.url, tokenUrl: `${setup.url}/oauth/token`, clientId: admin.id, clientSecret: admin.secret,
  })));

check('parameters, trailing slash', () =>
  works(new sdk.Configuration({
    baseurl: `${setup.url}/`, tokenUrl: `${setup.url}//oauth/token`, clientId: admin.id, clientSecret: admin.secret,
  })));

check('config.json', () =>
  inDirectory(() => {
    writeFileSync('config.json', JSON.stringify({ BaseURL: setup.url, ClientId: admin.id, ClientSecret: admin.secret }));
    return works(new sdk.Configuration());
  }));

check('config.yaml at home', () =>
  inDirectory((home) => {
    mkdirSync(join(home, '.sailpoint'));
    writeFileSync(join(home, '.sailpoint', 'config.yaml'), `authtype: pat
activeenvironment: here
environments:
  here:
    baseurl: ${setup.url}
    pat:
      clientid: ${admin.id}
      clientsecret: ${admin.secret}
`);
    return works(new sdk.Configuration());
  }));

check('an access token as it is', async () => {
  const first = new sdk.Configuration({
    baseurl: setup.url, tokenUrl: `${setup.url}/oauth/token`, clientId: admin.id, clientSecret: admin.secret,
  });
  await works(new sdk.Configuration({ baseurl: setup.url, accessToken: await first.accessToken }));
});

// The client loses the body of a refused sign-in; its status is in the message.
const refusedSignIn = (id, secret) =>
  assert.rejects(
    new sdk.Configuration({ baseurl: setup.url, tokenUrl: `${setup.url}/oauth/token`, clientId: id, clientSecret: secret })
      .accessToken,
    /status code 401/,
  );

check('wrong secret', () => refusedSignIn(admin.id, 'not the secret'));

check('unknown client', () => refusedSignIn('0123456789abcdef0123456789abcdef', admin.secret));

// It sends the word "undefined".
check('no client at all', () => refusedSignIn(undefined, undefined));

await runChecks();
