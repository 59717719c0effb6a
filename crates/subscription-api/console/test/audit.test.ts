import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEntry } from '../src/api/types';
import { actionText, changesOf, entryNote, parseActor, subjectName, switchedPatterns } from '../src/lib/audit';
import { rotationOf } from '../src/lib/rotation';

const entry = (change: Partial<AuditEntry>): AuditEntry => ({
  id: '1',
  at: '2026-11-29T12:00:00.000Z',
  actor: 'support',
  action: 'webhook.change',
  brandId: 'acme',
  subject: '9e21c694',
  before: null,
  after: null,
  ...change,
});

test('actors are named', () => {
  assert.deepEqual(parseActor('token:6d9c production'), { kind: 'token', name: 'production', id: '6d9c' });
  assert.deepEqual(parseActor('support:ines Ines Weber'), { kind: 'support', name: 'Ines Weber', id: 'ines' });
  assert.deepEqual(parseActor('support'), { kind: 'support', name: 'Support', id: null });
  assert.deepEqual(parseActor('platform'), { kind: 'platform', name: 'Postrider', id: null });
  assert.deepEqual(parseActor('something'), { kind: 'other', name: 'something', id: null });
});

test('an unknown action shows as it is', () => {
  assert.equal(actionText('webhook.enable'), 'Enabled the webhook');
  assert.equal(actionText('moon.land'), 'moon.land');
});

test('only changed fields are listed, without those that always change', () => {
  const changed = changesOf(entry({ before: { events: ['A'], updated: '1', maxConcurrency: 5 }, after: { events: ['A', 'B'], updated: '2', maxConcurrency: 5 } }));
  assert.deepEqual(changed, [{ name: 'events', before: 'A', after: 'A, B' }]);
});

test('a new thing lists what it has, and a cleared field is empty afterwards', () => {
  assert.deepEqual(changesOf(entry({ after: { name: 'ci', expires: null, headers: {} } })), [{ name: 'name', before: null, after: 'ci' }]);
  assert.deepEqual(changesOf(entry({ before: { description: 'x' }, after: { description: null } })), [{ name: 'description', before: 'x', after: null }]);
});

test('the subject and the note come from the fields', () => {
  assert.equal(subjectName(entry({ after: { description: null, endpoint: 'https://a.example/' } })), 'https://a.example/');
  assert.equal(subjectName(entry({ before: { name: 'ci' } })), 'ci');
  assert.equal(entryNote(entry({ after: { note: 'fixed' } })), 'fixed');
  assert.equal(entryNote(entry({ after: { disabled: { detail: '98 % failed' } } })), '98 % failed');
  assert.equal(entryNote(entry({})), '');
});

test('the types that were enabled for a brand are named, and not the brand', () => {
  const brand = (...eventTypes: [string, boolean][]) => ({ brandId: 'acme', eventTypes: eventTypes.map(([typeOrGroup, enabled]) => ({ typeOrGroup, enabled })) });
  assert.deepEqual(switchedPatterns(entry({ before: brand(['A', true]), after: brand(['A', true], ['B.C', true]) })), ['B.C']);
  assert.deepEqual(switchedPatterns(entry({ before: brand(['A', true], ['B', true]), after: brand(['A', false]) })), ['A', 'B']);
  assert.deepEqual(switchedPatterns(entry({ before: brand(['A', true]), after: brand(['A', true]) })), []);
});

test('the end of an overlap follows from the last rotation', () => {
  const rotated = entry({ action: 'webhook.rotate_secret', after: { overlapSeconds: 3600 } });
  assert.deepEqual(rotationOf([entry({}), rotated]), { rotated: rotated.at, previousExpires: '2026-11-29T13:00:00.000Z' });
  assert.deepEqual(rotationOf([entry({ action: 'webhook.end_previous_secret' }), rotated]), { rotated: rotated.at, previousExpires: null });
  assert.equal(rotationOf([{ ...rotated, outcome: 'failed' }]).rotated, null);
  assert.equal(rotationOf([]).rotated, null);
});
