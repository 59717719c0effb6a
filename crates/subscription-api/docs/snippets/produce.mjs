import amqp from 'amqplib'; // npm install amqplib

const connection = await amqp.connect(process.env.AMQP_URL);
const channel = await connection.createConfirmChannel();
const event = {
  brandId: 'acme', // the id of your brand
  type: 'NOTIFICATION.SMS.RECEIPT',
  data: { phoneNumber: '+1234456789', message: 'from Node' },
};
// RabbitMQ returns an event that no queue receives before it confirms it.
let returned = false;
channel.on('return', () => (returned = true));
const exchange = process.env.EXCHANGE ?? 'postrider.events';
channel.publish(exchange, event.type, Buffer.from(JSON.stringify(event)), {
  contentType: 'application/json',
  persistent: true,
  mandatory: true,
  messageId: 'order-4712-shipped', // after an error, publish again with the same id: it remains one event
});
await channel.waitForConfirms();
if (returned) throw new Error('no queue received the event');
await connection.close();
