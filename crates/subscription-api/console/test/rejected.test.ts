import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RejectedGroup } from '../src/api/types';
import { coveredBy, explainReason, fixOf, groupKey, typeOfBody } from '../src/lib/rejected';
import { SNIPPETS } from '../src/lib/snippets';
import { expiresIn, expiryOf } from '../src/lib/tokens';
import { webhooksOf } from '../src/lib/tree';

const group = (change: Partial<RejectedGroup>): RejectedGroup => ({ brandId: 'acme', reason: 'unknown_type', messages: 1, bytes: 10, ...change });

test('each group has the page that fixes it, if there is one', () => {
  assert.deepEqual(fixOf(group({ type: 'ORDER.PAID' })), { label: 'Add the type', path: '/catalogue/ORDER.PAID' });
  assert.equal(fixOf(group({ type: null })), null);
  assert.deepEqual(fixOf(group({ reason: 'unknown_brand', brandId: 'a-b' })), { label: 'Create the brand', path: '/brands?new=a-b' });
  assert.equal(fixOf(group({ reason: 'too_large' })), null);
});

test('a reason that the console does not know still has words', () => {
  assert.equal(explainReason('moon_phase').title, 'Moon phase');
  assert.equal(explainReason(null).title, 'Unknown reason');
});

test('groups of an API without types have keys of their own', () => {
  assert.notEqual(groupKey(group({})), groupKey(group({ type: 'A' })));
});

test('the type of a body is read only if it can be', () => {
  assert.equal(typeOfBody('{"type":"A"}'), 'A');
  for (const body of ['null', '[1]', 'x', '{"type":1}']) assert.equal(typeOfBody(body), null);
});

test('tokens warn before they end', () => {
  const now = Date.parse('2026-11-29T00:00:00.000Z');
  const at = (expires: string | null) => expiryOf({ id: '', name: '', role: 'read', created: '', expires }, now);
  assert.deepEqual([at(null), at('2027-03-01T00:00:00Z'), at('2026-12-05T00:00:00Z'), at('2026-11-28T00:00:00Z')], ['never', 'later', 'soon', 'expired']);
  assert.deepEqual(expiresIn('', now), {});
  assert.deepEqual(expiresIn('30', now), { expires: '2026-12-29T00:00:00.000Z' });
});

test('webhooks of a group and of everything are concerned when a type is disabled', () => {
  const webhooks = [{ events: ['ORDER'] }, { events: ['*'] }, { events: ['ORDER.PAID', 'A'] }, { events: ['ORDERS'] }];
  assert.deepEqual(webhooksOf(webhooks, ['ORDER.PAID']), webhooks.slice(0, 3));
  assert.deepEqual(webhooksOf(webhooks, []), []);
});

test('each snippet names the variable of the secret', () => {
  assert.deepEqual(SNIPPETS.map(({ id }) => id), ['node', 'python', 'php', 'go', 'java', 'csharp', 'ruby', 'rust']);
  for (const { code } of SNIPPETS) assert.match(code, /WEBHOOK_SECRET/);
});

test('a group without a brand covers others of its reason, and says so by their number', () => {
  const groups = [group({ type: 'A' }), group({ type: 'B' }), group({ brandId: null, type: null }), group({ reason: 'too_large' })];
  const filter = (of: RejectedGroup) => ({ brandId: of.brandId, reason: of.reason, type: of.type ?? null });
  assert.equal(coveredBy(filter(groups[0]!), groups).length, 1);
  assert.equal(coveredBy(filter(groups[2]!), groups).length, 3);
  assert.equal(coveredBy({ brandId: null, reason: null, type: null }, groups).length, 4);
});
