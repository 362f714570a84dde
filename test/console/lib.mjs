// What the scenarios share: a Stint of their own with tasks in it, and a browser.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const binary = process.env.STINT_BINARY ?? new URL('../../bin/stint', import.meta.url).pathname;

async function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** A server that can be stopped and started again at the same address. */
export class Stint {
  static async withTasks(count) {
    const stint = new Stint();
    stint.dir = mkdtempSync(join(tmpdir(), 'stint-console-'));
    stint.db = join(stint.dir, 'stint.db');
    stint.port = await freePort();
    stint.url = `http://127.0.0.1:${stint.port}`;
    const seeded = join(stint.dir, 'tasks.ndjson');
    const made = spawnSync(process.execPath, [new URL('seed.mjs', import.meta.url).pathname, String(count)], {
      stdio: ['ignore', openSync(seeded, 'w'), 'inherit'],
    });
    assert.equal(made.status, 0, 'the tasks are made');
    const loaded = spawnSync(binary, ['import', '--db', stint.db, seeded], { encoding: 'utf8' });
    assert.equal(loaded.status, 0, loaded.stderr);
    const token = spawnSync(binary, ['token', 'create', '--db', stint.db, '--user', 'admin', '--level', 'ORG_ADMIN', '-o', 'json'], {
      encoding: 'utf8',
    });
    assert.equal(token.status, 0, token.stderr);
    stint.admin = JSON.parse(token.stdout);
    await stint.start();
    return stint;
  }

  async start() {
    const flags = ['serve', '--db', this.db, '--listen', `127.0.0.1:${this.port}`, '--ops-listen', '127.0.0.1:0', '--log-level', 'warn'];
    this.process = spawn(binary, flags, { stdio: ['ignore', 'ignore', openSync(join(this.dir, 'log'), 'a')] });
    this.ended = new Promise((resolve) => this.process.once('exit', resolve));
    for (;;) {
      const answers = await fetch(`${this.url}/oauth/info`).then(
        (answer) => answer.ok,
        () => false,
      );
      if (answers) return;
      assert.equal(this.process.exitCode, null, this.log());
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop() {
    this.process.kill('SIGTERM');
    await this.ended;
  }

  async remove() {
    await this.stop();
    rmSync(this.dir, { recursive: true });
  }

  log() {
    return readFileSync(join(this.dir, 'log'), 'utf8').slice(-4000);
  }

  /** Asks the API as the administrator. */
  async ask(method, path, body, headers = {}) {
    if (this.bearer === undefined) {
      const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: this.admin.id, client_secret: this.admin.secret });
      const granted = await fetch(`${this.url}/oauth/token`, { method: 'POST', body: form });
      this.bearer = (await granted.json()).access_token;
    }
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.bearer}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }

  /** Makes a personal access token. */
  token(user, level) {
    return this.ask('POST', '/stint/v1/tokens', { user, levels: [level] });
  }

  /** Launches a task that this test carries out itself. */
  async launch(name) {
    const task = await this.ask('POST', '/stint/v1/tasks', { type: 'IDENTITY_REFRESH', uniqueName: name });
    return {
      id: task.id,
      report: (report) =>
        this.ask('POST', `/stint/v1/tasks/${task.id}/report`, { attempt: 1, ...report }, { 'stint-report-token': task.reportToken }),
    };
  }
}

export function launchBrowser() {
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
}

/**
 * A page that fails its test for whatever goes wrong in it unseen: an exception, a breach of
 * the content security policy, a request to another host.
 */
export async function openPage(browser, stint, options = {}) {
  const context = await browser.newContext({ baseURL: stint.url, timezoneId: 'Europe/Vienna', locale: 'en-GB', ...options });
  // Generous: a machine that runs all tests at once is slow, and nothing waits for longer than it must.
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(`exception: ${error.message}`));
  page.on('console', (message) => {
    // What the server refuses, or while it is away, the browser tells, too.
    if (message.type() === 'error' && !/Failed to load resource|ERR_CONNECTION/.test(message.text())) faults.push(message.text());
  });
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== stint.url && !['data:', 'blob:'].includes(protocol)) faults.push(`a request to ${request.url()}`);
  });
  const close = page.context().close.bind(page.context());
  return {
    page,
    async close() {
      await close();
      assert.deepEqual(faults, []);
    },
  };
}

export async function signIn(page, client) {
  await page.getByLabel('Client ID').fill(client.id);
  await page.getByRole('textbox', { name: 'Client secret' }).fill(client.secret);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('button', { name: /^Signed in as/ }).waitFor();
}

/** Opens a path as somebody. */
export async function openAs(browser, stint, client, path, options) {
  const opened = await openPage(browser, stint, options);
  await opened.page.goto(path);
  await signIn(opened.page, client);
  return opened;
}
