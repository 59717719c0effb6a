import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockSeconds, localTime } from '../src/lib/format';
import { inChosenZone } from '../src/lib/sentence-times';
import { zone, zoneName } from '../src/lib/zone';

const NOW = Date.parse('2026-11-29T23:50:00Z');

test('times of a sentence are in the zone of the switch', () => {
  for (const chosen of ['utc', 'local'] as const) {
    zone.value = chosen;
    const at = '2026-11-30T00:10:05Z';
    const time = `${clockSeconds(at)} ${zoneName(at)}`;
    assert.equal(inChosenZone('Queued since 00:10:05 UTC as the next one.', NOW), `Queued since ${time} as the next one.`, 'it is after midnight');
    assert.equal(inChosenZone('Delivered at 2026-11-27 08:00:00 UTC after 1 attempt.', NOW), `Delivered at ${localTime('2026-11-27T08:00:00Z')} after 1 attempt.`);
  }
  zone.value = 'utc';
  assert.equal(inChosenZone('Queued since 13:47:02 UTC behind 3 others.', NOW), 'Queued since 13:47:02 UTC behind 3 others.');
});

test('a text that is no time stays', () => {
  for (const text of ['UTC', '99:99:99 UTC', '13:47:02', '']) assert.equal(inChosenZone(text, NOW), text);
});
