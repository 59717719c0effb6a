import express from 'express'; // npm install express standardwebhooks
import { Webhook } from 'standardwebhooks';

const secret = process.env.WEBHOOK_SECRET; // whsec_…
if (!secret) {
  console.error('Set WEBHOOK_SECRET to the secret of the webhook.');
  process.exit(1);
}
const webhook = new Webhook(secret);
const app = express();

// express.raw() keeps the body as it was sent. Register this route before any express.json().
app.post('/webhooks', express.raw({ type: 'application/json', limit: '1mb' }), async (request, response) => {
  let event;
  try {
    event = webhook.verify(request.body, request.headers);
  } catch {
    return response.status(400).send('the signature is not valid\n');
  }
  const isNew = await save(event); // fast, because Postrider waits 15 seconds at most
  response.status(204).end();
  if (isNew) work(event).catch(console.error);
});

// Responds to a body that is too large or cut off. Otherwise Express would respond with a stack trace.
app.use((error, request, response, next) => {
  if (!error.status) console.error(error);
  response.status(error.status ?? 500).end();
});

const saved = new Set(); // in production: a table with a unique key on event.id

/** Saves the event, and returns whether it is new. */
async function save(event) {
  if (saved.has(event.id)) return false;
  saved.add(event.id);
  return true;
}

/** Your own work. In production, another process reads the events from the table, so that a crash loses none. */
async function work(event) {
  console.log(event.type, event.id); // event.data may be personal, so it is not logged
}

app.listen(process.env.PORT ?? 3000);
