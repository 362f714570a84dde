// Every page, in both themes and on a phone: axe finds no serious fault, and nothing is wider
// than the screen. SCREENSHOTS=DIR keeps what the pages look like.
//
// usage: node --test looks.test.mjs
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import axe from 'axe-core';
import { launchBrowser, openPage, signIn, Stint } from './lib.mjs';

const screenshots = process.env.SCREENSHOTS;

let stint;
let browser;
let pages;
before(async () => {
  [stint, browser] = await Promise.all([Stint.withTasks(2_000), launchBrowser()]);
  const source = await stint.ask('POST', '/stint/v1/sources', {
    name: 'Directory of people',
    type: 'DelimitedFile',
    connectorAttributes: { accountId: 'id', displayName: 'name' },
  });
  const failed = await stint.ask('GET', '/stint/v1/tasks?limit=1&filters=' + encodeURIComponent('completionStatus eq "ERROR"'));
  pages = {
    overview: '/',
    tasks: '/tasks?status=ERROR&status=IN_PROGRESS&since=7d',
    'tasks-none': '/tasks?name=nothing+of+this+name',
    task: `/tasks/${failed[0].id}`,
    sources: '/sources',
    source: `/sources/${source.id}?tab=settings`,
    tokens: '/tokens',
    audit: '/audit',
    nowhere: '/nowhere',
  };
});
after(async () => {
  await browser?.close();
  await stint?.remove();
});

/** Waits until a page shows what it is to show, and not that it loads. */
async function settled(page) {
  await page.getByRole('main').waitFor();
  await page.waitForFunction(() => document.querySelector('[aria-busy="true"]') === null && document.querySelector('h1, main p') !== null);
}

async function faultsOf(page) {
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }),
  );
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
}

async function keep(page, name) {
  if (!screenshots) return;
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
}

const screens = {
  wide: { width: 1440, height: 900, themes: ['light', 'dark'] },
  // Colours are the same on a phone: one theme is enough, unless somebody wants to look.
  phone: { width: 390, height: 844, themes: screenshots ? ['light', 'dark'] : ['dark'] },
};

/** What is wrong with what a page shows, in some themes. */
async function look(page, name, themes) {
  const faults = [];
  // Over the debugger, which no content security policy binds.
  await page.evaluate(axe.source);
  for (const colorScheme of themes) {
    await page.emulateMedia({ colorScheme });
    await page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor({ state: 'attached' });
    await keep(page, `${name}-${colorScheme}`);
    for (const fault of await faultsOf(page)) faults.push(`${name}, ${colorScheme}: ${fault}`);
  }
  const { scrollWidth, innerWidth } = await page.evaluate(() => ({ scrollWidth: document.documentElement.scrollWidth, innerWidth }));
  if (scrollWidth > innerWidth) faults.push(`${name} is ${scrollWidth} wide`);
  return faults;
}

for (const [screen, { themes, ...viewport }] of Object.entries(screens)) {
  test(`every page is in order: ${screen}`, async () => {
    const { page, close } = await openPage(browser, stint, { viewport, reducedMotion: 'reduce' });
    await page.goto('/');
    await page.getByRole('heading', { name: 'Sign in to Stint' }).waitFor();
    const faults = await look(page, `signin-${screen}`, themes);
    await signIn(page, stint.admin);
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(path);
      await settled(page);
      faults.push(...(await look(page, `${name}-${screen}`, themes)));
    }
    assert.deepEqual(faults, []);
    await close();
  });
}
