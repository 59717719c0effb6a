import { createPublicKey, verify as verifySignature } from 'node:crypto';

const TOLERANCE = 5 * 60; // seconds; an older request may be a replay

/** Returns whether Postrider sent the request. `publicKey` begins with `whpk_`; `body` is a Buffer with the raw body. */
export function verify(publicKey, headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures = '' } = headers;
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE)) return false;
  const x = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64').toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const given = signatures.split(' ').filter((signature) => signature.startsWith('v1a,'));
  return given.some((signature) => verifySignature(null, signed, key, Buffer.from(signature.slice(4), 'base64')));
}
