// A picture of every page in light and dark, at three widths, checked with axe-core.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { address, settled, signIn, withBrowser } from './browser.mjs';
import { PICTURES, SUPPORT_TOKEN } from './settings.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const WIDE = { name: 'wide', width: 1440, height: 900 };
const TABLET = { name: 'tablet', width: 1024, height: 768 };
const NARROW = { name: 'narrow', width: 360, height: 740 };

/** The pages that support sees, by name. */
export const supportPages = ({ brand, webhook, disabled, event, type }) => ({
  overview: '/',
  webhooks: '/webhooks',
  'webhooks-disabled': '/webhooks?status=disabled',
  brands: '/brands',
  'webhooks-worst-first': '/webhooks?order=attention',
  jobs: '/jobs',
  brand: `/brands/${brand}`,
  'brand-settings': `/brands/${brand}/settings`,
  'brand-jobs': `/brands/${brand}/jobs`,
  'brand-audit': `/brands/${brand}/audit`,
  'brand-webhooks': `/brands/${brand}/webhooks`,
  'brand-types': `/brands/${brand}/event-types`,
  tokens: `/brands/${brand}/tokens`,
  guide: `/brands/${brand}/guide`,
  webhook: `/brands/${brand}/webhooks/${webhook}`,
  'webhook-metrics': `/brands/${brand}/webhooks/${webhook}?tab=metrics`,
  'webhook-settings': `/brands/${brand}/webhooks/${webhook}?tab=settings`,
  'webhook-secret': `/brands/${brand}/webhooks/${webhook}?tab=secret`,
  'webhook-created': `/brands/${brand}/webhooks/${webhook}/created`,
  'webhook-disabled': `/brands/${brand}/webhooks/${disabled}`,
  event: `/brands/${brand}/webhooks/${disabled}/events/${event}`,
  'event-response': `/brands/${brand}/webhooks/${disabled}/events/${event}?view=response`,
  'event-timing': `/brands/${brand}/webhooks/${disabled}/events/${event}?view=timing`,
  'event-lookup': `/brands/${brand}/events/${event}`,
  'event-search': '/events',
  'brand-events': `/brands/${brand}/events`,
  catalogue: '/catalogue',
  type: `/catalogue/${type}`,
  'type-built-in': '/catalogue/WEBHOOK.DISABLED',
  rejected: '/rejected',
  'support-tokens': '/tokens',
  audit: '/audit',
  nowhere: '/nowhere',
});

/** The pages of a brand that look different from support's. */
export const brandPages = ({ brand, webhook }) => ({
  'own-overview': '/',
  'own-webhooks': `/brands/${brand}/webhooks`,
  'own-new-webhook': `/brands/${brand}/new-webhook`,
  'own-webhook': `/brands/${brand}/webhooks/${webhook}`,
  'own-edit-webhook': `/brands/${brand}/webhooks/${webhook}/edit`,
  'own-types': `/brands/${brand}/event-types`,
  'own-events': `/brands/${brand}/events`,
  'own-jobs': `/brands/${brand}/jobs`,
  'own-tokens': `/brands/${brand}/tokens`,
  'own-audit': `/brands/${brand}/audit`,
});

/** Opens pages in each theme and width, both themes at once, and returns the serious findings of axe. */
export async function lookAt(token, pages, prefix) {
  mkdirSync(PICTURES, { recursive: true });
  const looks = ['light', 'dark'].map(async (theme) => {
    const found = [];
    for (const size of [WIDE, TABLET, NARROW]) found.push(...(await lookIn({ token, pages, prefix, theme, size })));
    return found;
  });
  return (await Promise.all(looks)).flat();
}

/** Opens pages in one theme and width. */
async function lookIn({ token, pages, prefix, theme, size: { name: size, width, height } }) {
  const found = [];
  // axe is added to the page as a script, which the page's own policy rightly forbids.
  await withBrowser({ dark: theme === 'dark', width, height, bypassCSP: true }, async (page) => {
    const look = async (name) => {
      await settled(page);
      await page.waitForTimeout(200);
      await page.screenshot({ path: join(PICTURES, `${prefix}${name}-${theme}-${size}.png`), fullPage: true });
      for (const violation of await serious(page)) found.push(`${name} (${theme}, ${size}): ${violation}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (overflow > 0) found.push(`${name} (${theme}, ${size}): ${overflow} px wider than the screen`);
    };
    await page.goto(address());
    await look('sign-in');
    await signIn(page, token);
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(address(path));
      await look(name);
    }
  });
  return found;
}

export async function serious(page) {
  await page.evaluate(AXE);
  // Details of what passes are most of axe's work on a page as long as the API reference.
  const { violations } = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: tags, resultTypes: ['violations'] }), TAGS);
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? ''}`).join(' | ')}`);
}

export async function lookAtAll(world, brandToken) {
  const found = [
    ...(await lookAt(SUPPORT_TOKEN, supportPages(world), 'support-')),
    ...(await lookAt(brandToken, brandPages(world), 'brand-')),
  ];
  assert.deepEqual(found, []);
}
