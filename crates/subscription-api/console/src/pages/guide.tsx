// The setup guide of a brand, with commands and code to copy.

import { listWebhooks, offeredTypes } from '../api/webhooks';
import { useResource } from '../lib/use-resource';
import { Link, to, type PageProps } from '../router';
import { isSupport, me } from '../session';
import { Badge, Card, ProblemNote, Snippet, Loading } from '../ui/basics';
import { BrandTabs, Heading } from '../ui/shell';
import { LanguageSnippets } from './created';

const SAMPLE = '{"phoneNumber":"+1234456789","message":"I am an SMS message","locale":"en-US"}';
const USUAL = 'NOTIFICATION.SMS.RECEIPT';

async function loadGuide(brand: string, signal: AbortSignal) {
  const [types, webhooks] = await Promise.all([offeredTypes(brand, signal), listWebhooks(brand, { limit: 1 }, signal)]);
  const own = types.filter((entry) => entry.enabled && !entry.builtIn);
  const example = own.find((entry) => entry.type === USUAL) ?? own[0];
  return { enabled: own.length > 0, webhook: webhooks.items[0] ?? null, example };
}

export function Guide({ params: { brand = '' } }: PageProps) {
  const { data, problem, reload } = useResource((signal) => loadGuide(brand, signal), [brand]);
  const type = data?.example?.type ?? USUAL;
  const sample = data?.example?.example ?? SAMPLE;
  return (
    <>
      <Heading title={isSupport() ? `Setup guide for ${brand}` : 'Setup guide'} up={isSupport() ? [['/brands', 'Brands']] : []}>
        <BrandTabs brand={brand} />
      </Heading>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={8} />}
      {data && (
        <>
          <Card title="1. Enable event types">
            <Done done={data.enabled} />
            <p>
              {isSupport() ? (
                <>
                  Nothing is enabled by default: <Link to={to.types(brand)}>choose the event types of {brand}</Link>.
                </>
              ) : (
                <>
                  Support enables event types for you. <Link to={to.types(brand)}>See your event types</Link>.
                </>
              )}
            </p>
          </Card>
          <Card title="2. Create a webhook">
            <Done done={data.webhook !== null} />
            <p>
              <Link to={to.newWebhook(brand)}>Create it here</Link>, or use the API with a token that has the role write:
            </p>
            <Snippet label="curl: create a webhook">{createLine(brand, type)}</Snippet>
          </Card>
          <Card title="3. Verify requests">
            <p>
              Requests are signed according to Standard Webhooks 1.0. Respond with a 2xx status within 15 seconds, and ignore events
              whose <code>id</code> you have already processed. The <a href="/docs">documentation</a> has complete receivers.
            </p>
            <LanguageSnippets />
            {data.webhook && (
              <p>
                The secret is on <Link to={`${to.webhook(brand, data.webhook.id)}?tab=secret`}>the webhook's page</Link>, where you can also
                send a test event.
              </p>
            )}
          </Card>
          <Card title="4. Publish an event">
            <p class="muted">For the service that produces the events. Over HTTP, with a token of the role write:</p>
            <Snippet label="curl: publish an event">{publishLine(brand, type, sample)}</Snippet>
            <p>
              Over RabbitMQ, publish persistent, mandatory messages and wait for confirms. In Python, after{' '}
              <code>pip install pika</code>:
            </p>
            <Snippet label="AMQP: publish an event">{amqpCode(brand, type, sample)}</Snippet>
          </Card>
        </>
      )}
    </>
  );
}

const Done = ({ done }: { done: boolean }) => (
  <p>
    <Badge tone={done ? 'good' : 'idle'}>{done ? 'Done' : 'To do'}</Badge>
  </p>
);

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
const oneLine = (json: string) => JSON.stringify(JSON.parse(json));

const createLine = (brand: string, type: string) =>
  `curl -X POST ${location.origin}/v1/${brand}/webhooks \\
  -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \\
  -d '{"endpoint":"https://example.com/webhooks","events":["${type}"]}'`;

const publishLine = (brand: string, type: string, sample: string) =>
  `curl -X POST ${location.origin}/v1/${brand}/events \\
  -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \\
  -d ${quoted(`{"type":"${type}","data":${oneLine(sample)}}`)}`;

const amqpCode = (brand: string, type: string, sample: string) =>
  `import json, uuid, pika

connection = pika.BlockingConnection(pika.URLParameters("amqp://USER:PASSWORD@HOST:5672/%2f"))
channel = connection.channel()
channel.confirm_delivery()
event = {
    "brandId": "${brand}",
    "type": "${type}",
    "data": json.loads(${JSON.stringify(oneLine(sample))}),
}
channel.basic_publish(
    exchange="${me().exchange}",
    routing_key="${type}",
    body=json.dumps(event),
    properties=pika.BasicProperties(delivery_mode=2, message_id=str(uuid.uuid4())),
    mandatory=True,
)
connection.close()`;
