// How the API serves the console's files.

import assert from 'node:assert/strict';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { get } from 'node:http';
import { URL_OF_API } from './settings.mjs';

const FIRST_VIEW_BYTES = 200 * 1024;

/** Sends a GET without decompressing the answer. */
function fetchRaw(path, headers = {}) {
  return new Promise((resolve, reject) => {
    get(URL_OF_API + path, { headers }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }));
    }).on('error', reject);
  });
}

export async function served() {
  const page = await fetchRaw('/console');
  assert.equal(page.status, 200);
  const policy = page.headers['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  assert.equal(page.headers['cache-control'], 'no-cache');
  const html = page.body.toString();
  assert.doesNotMatch(html, /<script>|<style|style=|\son\w+=/, 'nothing inline');
  assert.doesNotMatch(html, /https?:\/\//, 'nothing of another origin');
  const again = await fetchRaw('/console', { 'if-none-match': page.headers.etag });
  assert.equal(again.status, 304);
  assert.equal(again.body.length, 0);

  const assets = [...html.matchAll(/(?:href|src)="(\/console\/assets\/[^"]+)"/g)].map(([, path]) => path);
  assert.equal(assets.length, 3);
  let weight = (await fetchRaw('/console', { 'accept-encoding': 'gzip' })).body.length;
  for (const path of assets) {
    const plain = await fetchRaw(path);
    const gzip = await fetchRaw(path, { 'accept-encoding': 'gzip' });
    const brotli = await fetchRaw(path, { 'accept-encoding': 'gzip, deflate, br' });
    assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.equal(gzip.headers['content-encoding'], 'gzip');
    assert.equal(brotli.headers['content-encoding'], 'br');
    assert.deepEqual(gunzipSync(gzip.body), plain.body);
    assert.deepEqual(brotliDecompressSync(brotli.body), plain.body);
    assert.notEqual(gzip.headers.etag, brotli.headers.etag);
    weight += gzip.body.length;
  }
  console.log(`# first view: ${(weight / 1024).toFixed(1)} KiB as gzip`);
  assert.ok(weight < FIRST_VIEW_BYTES);
  assert.equal((await fetchRaw('/console/assets/none.js')).status, 404);
  assert.equal((await fetchRaw('/console/brands/acme/webhooks')).status, 200, 'addresses of pages can be sent on');
}
