// The console, as people use it: a real browser, the real program, a hundred thousand tasks.
//
// usage: node --test console.test.mjs
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, openAs, openPage, signIn, Stint } from './lib.mjs';

const seeded = Number(process.env.STINT_CONSOLE_TASKS ?? 100_000);
/** What seed.mjs leaves in progress beside those. */
const inProgress = 11;

let stint;
let browser;
before(async () => {
  [stint, browser] = await Promise.all([Stint.withTasks(seeded), launchBrowser()]);
});
after(async () => {
  await browser?.close();
  await stint?.remove();
});

const total = (page) => page.getByRole('status').filter({ hasText: /tasks?$/ });
const rows = (page) => page.locator('tbody tr');
const names = (page) => page.locator('tbody [data-row-link]').evaluateAll((links) => links.map((link) => link.getAttribute('href')));

test('signing in and out', async () => {
  const { page, close } = await openPage(browser, stint);
  await page.goto('/tasks?status=ERROR');
  await page.getByLabel('Client ID').fill(stint.admin.id);
  await page.getByRole('textbox', { name: 'Client secret' }).fill('not the secret');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByText('its id and secret do not belong together').waitFor();

  await signIn(page, stint.admin);
  await page.getByRole('heading', { name: 'Tasks' }).waitFor();
  assert.equal(new URL(page.url()).search, '?status=ERROR');
  const [cookie] = await page.context().cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === 'Strict', JSON.stringify(cookie));

  await page.getByRole('button', { name: /^Signed in as/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in to Stint' }).waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  await page.reload();
  await page.getByRole('heading', { name: 'Sign in to Stint' }).waitFor();
  await close();
});

test('the first page is small', async () => {
  const { page, close } = await openPage(browser, stint);
  const scripts = [];
  page.on('requestfinished', (request) => {
    if (request.resourceType() === 'script') scripts.push(request.sizes().then((sizes) => sizes.responseBodySize));
  });
  await page.goto('/');
  await signIn(page, stint.admin);
  await page.waitForLoadState('networkidle').catch(() => {});
  const bytes = (await Promise.all(scripts)).reduce((sum, size) => sum + size, 0);
  console.log(`the first page loads ${Math.round(bytes / 1024)} KB of scripts, compressed`);
  assert.ok(bytes > 0 && bytes < 400 * 1024, `${bytes} bytes`);
  await close();
});

test('filters are the URL, and the URL is filters', async () => {
  const { page, close } = await openAs(browser, stint, stint.admin, '/tasks');
  await total(page).filter({ hasText: (seeded + inProgress).toLocaleString('en') }).waitFor();

  await page.getByRole('group', { name: 'Filters' }).getByRole('button', { name: 'Status' }).click();
  await page.getByRole('checkbox', { name: 'Temporary error' }).check();
  await page.keyboard.press('Escape');
  await page.waitForURL('**/tasks?status=TEMPERROR');
  await page.getByRole('button', { name: 'Status: Temporary error' }).waitFor();
  await total(page).filter({ hasNotText: (seeded + inProgress).toLocaleString('en') }).waitFor();
  const counted = await total(page).textContent();
  const { length } = await stint.ask('GET', '/stint/v1/tasks?limit=250&filters=' + encodeURIComponent('completionStatus eq "TEMPERROR"'));
  assert.ok(length > 0 && counted !== '0 tasks');

  await page.reload();
  await page.getByRole('button', { name: 'Status: Temporary error' }).waitFor();
  assert.equal(await total(page).textContent(), counted);

  await page.getByRole('searchbox', { name: 'Name contains' }).fill('Payroll');
  await page.waitForURL('**/tasks?status=TEMPERROR&name=Payroll');
  await page.goBack();
  await page.waitForURL('**/tasks?status=TEMPERROR');
  await total(page).filter({ hasText: counted }).waitFor();
  await page.goBack();
  await total(page).filter({ hasText: (seeded + inProgress).toLocaleString('en') }).waitFor();
  await close();
});

test('an expression is taken as it is, and its errors stand beside it', async () => {
  const { page, close } = await openAs(browser, stint, stint.admin, '/tasks?status=ERROR');
  await page.getByRole('button', { name: 'Expression' }).click();
  const field = page.getByLabel('Filter expression');
  assert.equal(await field.inputValue(), 'completionStatus eq "ERROR"');
  await field.fill('completionStatus eq "NOTHING"');
  await field.press('Enter');
  await page.getByText(/NOTHING/).last().waitFor();
  await page.getByLabel('Filter expression').fill('uniqueName eq "Accounts of HR" and durationMs gt 600000');
  await page.getByLabel('Filter expression').press('Enter');
  await rows(page).first().waitFor();
  assert.match(page.url(), /where=uniqueName/);
  await close();
});

test('pages hold together, and sorting begins anew', async () => {
  const { page, close } = await openAs(browser, stint, stint.admin, '/tasks');
  await rows(page).nth(49).waitFor();
  const first = await names(page);
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByText('51 to 100').waitFor();
  const second = await names(page);
  assert.equal(new Set([...first, ...second]).size, 100);
  await page.getByRole('button', { name: 'Previous' }).click();
  await page.getByText('1 to 50', { exact: true }).waitFor();
  assert.deepEqual(await names(page), first);

  await page.getByRole('columnheader', { name: 'Duration' }).getByRole('button').click();
  await page.waitForURL('**/tasks?sort=-durationMs');
  await page.locator('tbody', { hasText: 'Nightly identity refresh' }).waitFor();
  assert.equal(await page.getByRole('columnheader', { name: 'Duration' }).getAttribute('aria-sort'), 'descending');
  await close();
});

test('a task appears, runs and ends before your eyes, and nothing jumps', async () => {
  const { page, close } = await openAs(browser, stint, stint.admin, '/tasks');
  await page.getByRole('button', { name: 'Live: pause live updates' }).waitFor();
  const shown = await names(page);
  const task = await stint.launch('Seen from its beginning');
  const fresh = page.getByRole('button', { name: '1 new task' });
  await fresh.waitFor();
  assert.deepEqual(await names(page), shown);
  await fresh.click();
  const row = rows(page).filter({ hasText: 'Seen from its beginning' });
  await row.getByText('Queued').waitFor();
  await task.report({ percentComplete: 40, progress: 'Reading users' });
  await row.getByText('40 % · Reading users').waitFor();
  await task.report({ completionStatus: 'SUCCESS' });
  await row.getByText('Success').waitFor();

  // Held, it stays as it is; let go, it is up to date.
  await page.getByRole('button', { name: /pause live updates$/ }).click();
  await page.getByRole('button', { name: 'Paused: go on with live updates' }).waitFor();
  await stint.launch('Unseen');
  await page.getByRole('button', { name: 'Paused: go on with live updates' }).click();
  await rows(page).filter({ hasText: 'Unseen' }).waitFor();
  await close();
});

test('clearing one takes four clicks and a reason', async () => {
  const task = await stint.launch('To be cleared');
  await task.report({ percentComplete: 10 });
  const { page, close } = await openAs(browser, stint, stint.admin, '/tasks?status=IN_PROGRESS');
  await page.getByRole('link', { name: 'To be cleared' }).click();
  await page.getByRole('button', { name: 'Clear…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('This task ends now').waitFor();
  const go = dialog.getByRole('button', { name: 'Clear 1 task' });
  assert.ok(await go.isDisabled());
  await dialog.getByLabel('Reason').fill('Its worker is gone – für immer');
  await go.click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('img', { name: 'Terminated' }).first().waitFor();
  await page.getByRole('cell', { name: 'Cleared', exact: true }).waitFor();
  await page.getByText('für immer').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Clear…' }).count(), 0);
  await close();
});

test('cancelling says what will happen', async () => {
  const task = await stint.launch('To be cancelled');
  await task.report({ percentComplete: 10 });
  const { page, close } = await openAs(browser, stint, stint.admin, `/tasks/${task.id}`);
  await page.getByRole('button', { name: 'Cancel…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('told to stop with its next report').waitFor();
  await dialog.getByLabel('Reason').fill('Maintenance');
  await dialog.getByRole('button', { name: 'Cancel the task' }).click();
  await page.getByRole('button', { name: 'Cancel requested' }).waitFor();
  assert.equal((await task.report({ percentComplete: 20 })).stop, true);
  await close();
});

test('clearing all that match shows first what it would do', async () => {
  const { page, close } = await openAs(browser, stint, stint.admin, '/tasks?name=Stuck+import');
  await total(page).filter({ hasText: '8 tasks' }).waitFor();
  await page.getByRole('checkbox', { name: 'Select the tasks in progress on this page' }).check();
  await page.getByRole('button', { name: 'Select all 8 that match' }).click();
  await page.getByRole('button', { name: 'Clear…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Clear 8 tasks' });
  await dialog.getByText('These 8 tasks end').waitFor();
  await dialog.getByText('and 2 more').waitFor();
  await dialog.getByLabel('Reason').fill('The host was rebuilt');
  await dialog.getByRole('button', { name: 'Clear 8 tasks' }).click();
  await dialog.waitFor({ state: 'detached' });
  await rows(page).filter({ hasText: 'Terminated' }).nth(7).waitFor();
  const { length } = await stint.ask('GET', '/stint/v1/audit?filters=' + encodeURIComponent('action eq "task.clear" and actor eq "admin"'));
  assert.ok(length >= 8, `${length} entries of the audit`);
  await close();
});

test('a file that is exported holds all that match', async () => {
  const { page, close } = await openAs(browser, stint, stint.admin, '/tasks?status=TEMPERROR');
  const counted = Number((await total(page).textContent()).replace(/\D/g, ''));
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export' }).click();
  await page.getByRole('menuitem', { name: /^NDJSON/ }).click();
  const stream = await (await saved).createReadStream();
  let text = '';
  for await (const chunk of stream) text += chunk;
  const ids = new Set(text.trim().split('\n').map((line) => JSON.parse(line).id));
  assert.ok(counted > 250);
  assert.equal(ids.size, counted);
  await close();
});

test('a session that ends leads back to where it ended', async () => {
  const client = await stint.token('ann', 'ORG_ADMIN');
  const { page, close } = await openAs(browser, stint, client, '/tasks?status=WARNING');
  await rows(page).first().waitFor();
  await page.getByRole('button', { name: 'Live: pause live updates' }).waitFor();
  await page.locator('button:not([data-loading])', { hasText: 'Refresh' }).waitFor();
  const { secret } = await stint.ask('POST', `/stint/v1/tokens/${client.id}/rotate`, { reason: 'test' });
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.getByText('Your session has ended').waitFor();
  await signIn(page, { id: client.id, secret });
  await page.getByRole('button', { name: 'Status: Warning' }).waitFor();
  await rows(page).first().waitFor();
  await close();
});

test('a server that goes away is waited for', async () => {
  const { page, close } = await openAs(browser, stint, stint.admin, '/tasks');
  await rows(page).first().waitFor();
  await stint.stop();
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.getByText('The server cannot be reached').first().waitFor();
  assert.ok((await rows(page).count()) > 0, 'what was shown stays');
  await stint.start();
  await page.getByText('The server cannot be reached').first().waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Live: pause live updates' }).waitFor();
  await close();
});

test('a source is made, fed with a file, and shows what that changed', async () => {
  const { page, close } = await openAs(browser, stint, stint.admin, '/sources');
  await page.getByRole('button', { name: 'Create a source' }).click();
  const creating = page.getByRole('dialog', { name: 'Create a source' });
  await creating.getByRole('textbox', { name: 'Name', exact: true }).fill('Garden');
  await creating.getByLabel('Column of the account id').fill('id');
  await creating.getByLabel('Column of the name').fill('name');
  await creating.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('heading', { name: 'Garden' }).waitFor();

  const upload = async (text, status) => {
    await page.getByRole('button', { name: 'Aggregate accounts…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Aggregate accounts of Garden' });
    await dialog.locator('input[type=file]').setInputFiles({ name: 'garden.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
    await dialog.getByRole('button', { name: 'Upload and aggregate' }).click();
    await dialog.waitFor({ state: 'detached' });
    await rows(page).first().getByText(status).waitFor();
  };
  const people = Array.from({ length: 40 }, (_, i) => `${i},Person ${i}`);
  await upload(['id,name', ...people].join('\n'), 'Success');
  await upload(['id,name', ...people.slice(0, 20)].join('\n'), 'Warning');
  await page.getByText('20 deletions were withheld').waitFor();

  await page.getByRole('button', { name: /^Upload the file again/ }).click();
  assert.equal(await page.getByLabel('Let so many deletions pass').inputValue(), '20');
  await page.keyboard.press('Escape');
  await page.getByRole('tab', { name: 'Accounts' }).click();
  await page.getByText('1 to 40 of 40').waitFor();
  await close();
});

test('who may only look is offered nothing else', async () => {
  const client = await stint.token('helen', 'HELPDESK');
  const task = await stint.launch('Not for Helen');
  const { page, close } = await openAs(browser, stint, client, '/tasks');
  await rows(page).first().waitFor();
  const menu = page.getByRole('navigation', { name: 'Pages', exact: true });
  assert.deepEqual(await menu.getByRole('link').allTextContents(), ['Overview', 'Tasks', 'Sources']);
  assert.equal(await page.getByRole('checkbox').count(), 0);
  await page.goto(`/tasks/${task.id}`);
  await page.getByRole('heading', { name: 'Not for Helen' }).waitFor();
  assert.equal(await page.getByRole('button', { name: /Clear|Cancel/ }).count(), 0);
  await page.goto('/audit');
  await page.getByText('An administrator can give you a token that may').waitFor();
  await close();
});

test('the keyboard is enough', async () => {
  const { page, close } = await openAs(browser, stint, stint.admin, '/tasks');
  await rows(page).nth(2).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  const focused = await page.evaluate(() => document.activeElement.getAttribute('href'));
  assert.equal(focused, (await names(page))[0]);
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Name contains');
  await page.keyboard.press('Escape');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keyboard and help' });
  await help.waitFor();
  await page.keyboard.press('Escape');
  await help.waitFor({ state: 'detached' });
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**${focused}`);
  await close();
});
