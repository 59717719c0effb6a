// The API, for tests that prepare or check something beside the console.

import amqp from 'amqplib';
import { AMQP_URL, SUPPORT_TOKEN, URL_OF_API } from './settings.mjs';

export async function request(token, method, path, body) {
  const answer = await fetch(URL_OF_API + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null };
}

export async function call(token, method, path, body) {
  const { status, body: answer } = await request(token, method, path, body);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
  return answer;
}

export const asSupport = (method, path, body) => call(SUPPORT_TOKEN, method, path, body);

/** Creates a brand that may receive notifications, and returns its token. */
export async function createBrand(brandId, { role = 'write', enable = ['NOTIFICATION'] } = {}) {
  const contact = { name: 'Ada', email: 'ada@example.com' };
  await asSupport('POST', '/admin/v1/brands', { brandId, name: `Brand ${brandId}`, contact });
  for (const pattern of enable) await asSupport('PUT', `/admin/v1/brands/${brandId}/event-types/${pattern}`);
  const { token } = await asSupport('POST', `/admin/v1/brands/${brandId}/tokens`, { name: 'tests', role });
  return token;
}

export const SMS = 'NOTIFICATION.SMS.RECEIPT';

/** Publishes this number of events, and returns their ids. */
export async function publish(token, brandId, count, { type = SMS, data = { message: 'Hi', n: 12345678901234567890n } } = {}) {
  const json = JSON.stringify(data, (_, value) => (typeof value === 'bigint' ? `#${value}#` : value)).replace(/"#(\d+)#"/g, '$1');
  const event = `{"type":${JSON.stringify(type)},"data":${json}}`;
  const answer = await fetch(`${URL_OF_API}/v1/${brandId}/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: `{"events":[${Array(count).fill(event).join(',')}]}`,
  });
  if (answer.status !== 202) throw new Error(`publish: ${answer.status} ${await answer.text()}`);
  return (await answer.json()).ids;
}

/** Publishes this number of events over AMQP, which takes types that the catalogue does not have. */
export async function publishOverAmqp(token, brandId, count, type) {
  const { exchange } = await call(token, 'GET', '/v1/me');
  const connection = await amqp.connect(AMQP_URL);
  try {
    const channel = await connection.createConfirmChannel();
    for (let n = 0; n < count; n += 1) {
      const event = { brandId, type, data: { n } };
      channel.publish(exchange, type, Buffer.from(JSON.stringify(event)), { persistent: true, messageId: `${type} ${n}` });
    }
    await channel.waitForConfirms();
  } finally {
    await connection.close();
  }
}
