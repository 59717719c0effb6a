import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOOKUP_RESULTS, OUTCOMES, type EventLookup, type LookupResult, type LookupWebhook, type SearchResults } from '../src/api/types';
import { curlLine, forwardLine, hasHidden, wholeRequest } from '../src/lib/commands';
import { diffLines, isSame } from '../src/lib/diff';
import { answerOf, byResult, isMeant, isMoving, resultSentence, RESULT_WORDS } from '../src/lib/lookup';
import { explain } from '../src/lib/outcomes';
import { findHits, isFullId } from '../src/lib/search-hits';
import { phasesOf } from '../src/lib/timing';

const ID = '01M8K3M8K83TJWNKHABXVX3SQF';

const webhook = (result: LookupResult, more: Partial<LookupWebhook> = {}): LookupWebhook => ({
  webhookId: result,
  endpoint: 'https://a.example/',
  description: null,
  status: 'active',
  result,
  detail: null,
  since: null,
  ahead: null,
  nextAttemptAt: null,
  delivery: null,
  ...more,
});

const event = (more: Partial<EventLookup>): EventLookup => ({
  id: ID,
  type: 'ORDER.PAID',
  created: '2026-11-29T08:13:02.000Z',
  received: '2026-11-29T08:13:02.100Z',
  key: null,
  disposition: 'routed',
  detail: null,
  data: '{}',
  duplicates: 0,
  webhooks: [],
  ...more,
});

test('the answer counts the webhooks that the event was meant for', () => {
  const { tone, text } = answerOf(event({ webhooks: [webhook('delivered'), webhook('failed'), webhook('queued'), webhook('not_subscribed')] }));
  assert.equal(tone, 'bad');
  assert.equal(text, 'Of 3 webhooks that wanted this event, 1 received it, 1 failed for good, 1 is waiting for it.');
  assert.equal(answerOf(event({ webhooks: [webhook('delivered')] })).tone, 'good');
  assert.match(answerOf(event({ webhooks: [] })).text, /no webhook has it any more/);
});

test('an event that was not routed says why', () => {
  assert.match(answerOf(event({ disposition: 'rejected', reason: 'unknown_type' })).text, /rejected this event \(unknown_type\)\. Its type is not in the catalogue/);
  assert.match(answerOf(event({ disposition: 'not_enabled' })).text, /ORDER\.PAID is not enabled/);
  assert.match(answerOf(event({ disposition: 'no_webhook', detail: 'Nobody subscribes.' })).text, /^Nobody subscribes\.$/);
});

test('every result has words, and trouble stands in front', () => {
  for (const result of LOOKUP_RESULTS) {
    assert.ok(RESULT_WORDS[result].label);
    assert.match(resultSentence(webhook(result)), /\.$/);
  }
  const order = byResult([webhook('not_subscribed'), webhook('delivered'), webhook('failed')]).map(({ result }) => result);
  assert.deepEqual(order, ['failed', 'delivered', 'not_subscribed']);
  const held = webhook('disabled', { delivery: { status: 'held', attempts: 0, lastAttemptAt: null, nextAttemptAt: null, lastError: null } });
  assert.deepEqual([isMeant(held), isMeant(webhook('disabled'))], [true, false]);
  assert.deepEqual([isMoving(event({ webhooks: [webhook('queued')] })), isMoving(event({ webhooks: [webhook('failed')] }))], [true, false]);
});

const found: SearchResults = {
  brands: [{ brandId: 'acme', name: 'Acme' }],
  webhooks: [{ id: 'w1', brandId: 'acme', endpoint: 'https://a.example/', description: 'Orders', status: 'disabled' }],
  eventTypes: [{ type: 'ORDER.PAID', description: 'Paid' }],
  events: [{ ...event({}), brandId: 'acme', key: 'order 1' }],
};
const pages = [['/', 'Overview'], ['/rejected', 'Rejected events']] as const;

test('the search leads to pages by kind, and escapes what it puts into addresses', () => {
  const groups = findHits('acme', found, pages, true, null);
  assert.deepEqual(groups.map(({ label }) => label), ['Events', 'Webhooks', 'Brands', 'Event types']);
  assert.deepEqual(groups.map(({ hits }) => hits[0]!.to), [`/brands/acme/events/${ID}`, '/brands/acme/webhooks/w1', '/brands/acme', '/catalogue/ORDER.PAID']);
  assert.equal(findHits('ev', null, pages, true, null)[0]!.hits[0]!.to, '/rejected', 'each word of a page counts');
});

test('a text that may be a message id is offered after everything that was found', () => {
  const groups = findHits('a/b-17?', { ...found, events: [] }, pages, true, null);
  assert.deepEqual(groups.map(({ label }) => label), ['Webhooks', 'Brands', 'Event types', 'Event by message id']);
  assert.equal(groups.at(-1)!.hits[0]!.to, '/events/a%2Fb-17%3F');
});

test('a whole id can be opened even if the search does not know it', () => {
  assert.deepEqual([isFullId(ID), isFullId(`${ID}0`), isFullId('8ZZZZZZZZZZZZZZZZZZZZZZZZZ')], [true, false, false]);
  assert.equal(findHits(ID.toLowerCase(), null, [], false, 'acme')[0]!.hits[0]!.to, `/brands/acme/events/${ID}`);
  assert.equal(findHits(ID, found, [], false, 'acme')[0]!.hits.length, 1, 'an event that was found is not offered twice');
});

test('the curl command quotes what a shell would read, and says what is hidden', () => {
  const request = { method: 'POST', url: "https://a.example/?q='x'", headers: [['host', 'a.example'], ['webhook-id', ID], ['x-key', '(hidden)']] as const, body: '{"name":"O\'Brien"}' };
  const line = curlLine({ ...request, headers: [...request.headers] });
  assert.ok(line.startsWith(`curl -X POST 'https://a.example/?q='\\''x'\\''' \\\n  -H 'webhook-id: ${ID}'`), line);
  assert.ok(line.endsWith(`--data-raw '{"name":"O'\\''Brien"}'`), line);
  assert.doesNotMatch(line, /host:/);
  assert.equal(hasHidden(request), true);
  const overHttp2 = curlLine({ method: 'POST', url: 'https://a.example/', headers: [[':path', '/'], ['webhook-id', ID]], body: '{}' });
  assert.equal(overHttp2, `curl -X POST 'https://a.example/' \\\n  -H 'webhook-id: ${ID}' \\\n  --data-raw '{}'`);
  assert.equal(wholeRequest({ method: 'POST', url: 'https://a.example/', headers: [], body: null, bodyUnavailable: 'It expired.' }), null);
  assert.equal(
    forwardLine({ origin: 'https://p.example', brand: 'acme', webhook: 'w1', event: ID, target: 'http://localhost:3000/' }),
    `postrider listen --url https://p.example --brand acme \\\n  --webhook w1 \\\n  --event ${ID} \\\n  --forward-to http://localhost:3000/`,
  );
});

test('a difference keeps the common lines', () => {
  const lines = diffLines(['a', 'b', 'c'], ['a', 'x', 'c', 'd']);
  assert.deepEqual(lines.map(({ kind, text }) => `${kind[0]}${text}`), ['sa', 'rb', 'ax', 'sc', 'ad']);
  assert.ok(isSame(diffLines(['a'], ['a'])));
  const long = Array.from({ length: 700 }, (_, n) => `${n}`);
  assert.equal(diffLines(long, long).length, 1400, 'long texts are not compared line by line');
});

test('every outcome is explained, and failures come with advice', () => {
  for (const outcome of OUTCOMES) {
    const { label, what, advice } = explain({ outcome, statusCode: outcome === 'http_status' ? 500 : null });
    assert.ok(label && /\.$/.test(what), outcome);
    assert.equal(advice === '', outcome === 'delivered', outcome);
  }
  assert.match(explain({ outcome: 'http_status', statusCode: 301, location: 'https://b.example/' }).advice, /b\.example/);
  assert.equal(explain({ outcome: 'http_status', statusCode: 599 }).label, '599');
});

test('phases follow one another, and the rest is the body or the phase that failed', () => {
  const timing = { dnsMs: 2, connectMs: 10, tlsMs: 20, firstByteMs: 100 };
  assert.deepEqual(phasesOf(timing, 150, 'delivered').map(({ name, begin, length }) => [name, begin, length]), [['dns', 0, 2], ['connect', 2, 10], ['tls', 12, 20], ['wait', 32, 100], ['body', 132, 18]]);
  assert.equal(phasesOf({ ...timing, tlsMs: null, firstByteMs: null }, 40, 'tls').at(-1)!.label, 'TLS handshake, failed');
  assert.equal(phasesOf({ ...timing, firstByteMs: null }, 15_000, 'timeout').at(-1)!.label, 'No response');
  assert.deepEqual(phasesOf(null, 5, 'delivered'), []);
  assert.deepEqual(phasesOf({ dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null }, 5, 'timeout'), [], 'nothing was recorded');
});
