import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Brand, Webhook } from '../src/api/types';
import { toCsv } from '../src/lib/csv';
import { BRAND_CSV, WEBHOOK_CSV } from '../src/lib/csv-columns';

type Row = { text: string | null; number?: number };
const columns = [['text', ({ text }: Row) => text], ['number', ({ number }: Row) => number]] as const;

test('cells are quoted where a reader would misread them', () => {
  assert.equal(toCsv(columns, []), '\uFEFFtext,number\r\n');
  assert.equal(toCsv(columns, [{ text: 'a, "b"\nc', number: -1.5 }, { text: null }]), '\uFEFFtext,number\r\n"a, ""b""\nc",-1.5\r\n,\r\n');
});

test('no text is run as a formula', () => {
  const cellOf = (text: string) => toCsv(columns, [{ text }]).slice('\uFEFFtext,number\r\n'.length, -',\r\n'.length);
  for (const text of ['=1+1', '+1', '-1', '@SUM(A1)', '\uFF1D1']) assert.equal(cellOf(text), `'${text}`);
  assert.equal(cellOf('\t=1'), "'\t'=1");
  assert.equal(cellOf('x;=1+1'), "x;'=1+1", 'where the separator is a semicolon');
  assert.equal(cellOf('x\n-1'), '"x\n\'-1"');
  assert.equal(cellOf('a=1; b'), 'a=1; b');
});

test('a brand has the types that are enabled', () => {
  const eventTypes = [{ typeOrGroup: 'ORDER', enabled: true }, { typeOrGroup: 'ORDER.PAID', enabled: false }];
  const brand = { brandId: 'acme', name: 'Acme', contact: null, eventTypes, created: '2026-11-28T12:00:00.000Z' } as Partial<Brand> as Brand;
  assert.equal(toCsv(BRAND_CSV, [brand]).split('\r\n')[1], 'acme,Acme,,,ORDER,ORDER.PAID,2026-11-28T12:00:00.000Z');
});

test('a webhook has a line with its health', () => {
  const webhook: Webhook = {
    id: 'w1',
    brandId: 'acme',
    endpoint: 'https://a.example/?a=1,2',
    events: ['ORDER', 'STOCK.LOW'],
    enabled: true,
    status: 'active',
    disabled: null,
    description: 'Orders',
    headers: {},
    maxConcurrency: 10,
    ratePerSecond: null,
    health: { state: 'failing', since: '2026-11-29T12:00:00.000Z', successRate: 0, disablesAt: null },
    created: '2026-11-28T12:00:00.000Z',
    updated: '2026-11-28T12:00:00.000Z',
  };
  const [, line] = toCsv(WEBHOOK_CSV, [webhook]).split('\r\n');
  assert.equal(line, 'acme,w1,Orders,"https://a.example/?a=1,2",active,failing,2026-11-29T12:00:00.000Z,,,ORDER STOCK.LOW,2026-11-28T12:00:00.000Z');
});
