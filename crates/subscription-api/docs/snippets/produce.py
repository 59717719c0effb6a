import json, os

import pika  # pip install pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.confirm_delivery()  # basic_publish now waits for the broker's confirmation
event = {
    "brandId": "acme",  # the id of your brand
    "type": "NOTIFICATION.SMS.RECEIPT",
    "data": {"phoneNumber": "+1234456789", "message": "from Python"},
}
# Raises UnroutableError or NackError if the event is not stored. After any other error, publish it again with
# the same message_id: it remains one event.
channel.basic_publish(
    exchange=os.environ.get("EXCHANGE", "postrider.events"),
    routing_key=event["type"],
    body=json.dumps(event),
    mandatory=True,
    properties=pika.BasicProperties(
        content_type="application/json", delivery_mode=pika.DeliveryMode.Persistent, message_id="order-4711-shipped"
    ),
)
connection.close()
