// Chromium and a person in front of it. Any complaint of the page fails the test.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { CHROMIUM, PATIENCE_MS, PICTURES, URL_OF_API } from './settings.mjs';

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Opens a browser profile of its own, for tests that share it. `complaints` lists the complaints of its tabs so far, and
 * `keepPicture` saves how the first tab looks now and returns the path of the file.
 */
export async function openBrowser({ dark = false, width = 1440, height = 900, bypassCSP = false } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'postrider-console-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    args: ARGS,
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    permissions: ['clipboard-read', 'clipboard-write'],
    bypassCSP,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const complaints = [];
  for (const open of context.pages()) watch(open, complaints);
  context.on('page', (opened) => watch(opened, complaints));
  const page = context.pages()[0] ?? (await context.newPage());
  const keepPicture = async (name) => {
    const path = join(PICTURES, name);
    mkdirSync(PICTURES, { recursive: true });
    await page.screenshot({ path, fullPage: true }).catch(() => {});
    return path;
  };
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { page, complaints, keepPicture, close };
}

/** Runs `work` in a browser profile of its own. */
export async function withBrowser(options, work) {
  const { page, complaints, keepPicture, close } = await openBrowser(options);
  try {
    const result = await work(page);
    assert.deepEqual(complaints, [], 'what the browser complained about');
    return result;
  } catch (error) {
    const picture = await keepPicture('failure.png');
    throw new Error(`${error.message}\n(at ${page.url()}; picture: ${picture})`, { cause: error });
  } finally {
    await close();
  }
}

/** Records errors of a tab, and every request to another origin. */
function watch(page, complaints) {
  page.on('pageerror', (error) => complaints.push(`error: ${error.stack ?? error}`));
  page.on('console', (message) => {
    // Chromium reports answers of 4xx as errors, too; the pages show what they mean.
    const isAnswer = message.text().startsWith('Failed to load resource');
    if (['error', 'warning'].includes(message.type()) && !isAnswer) complaints.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(`${URL_OF_API}/`)) complaints.push(`request to ${request.url()}`);
  });
}

export const address = (path = '') => `${URL_OF_API}/console${path}`;

export async function signIn(page, token, path = '/') {
  await page.goto(address(path));
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#navigation').waitFor({ state: 'attached' });
}

/** Waits until the page is there and nothing on it is still loading. */
export async function settled(page) {
  await page.locator('h1').waitFor();
  await page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'));
}

export const button = (page, name) => page.getByRole('button', { name, exact: true });
export const link = (page, name) => page.getByRole('link', { name, exact: true });
export const tab = (page, name) => page.getByRole('tab', { name });
/** Waits for an announcement. */
export const waitNotice = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();
export const readClipboard = (page) => page.evaluate(() => navigator.clipboard.readText());
