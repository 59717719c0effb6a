"""Publishes one event as any producer would: persistent, mandatory, confirmed. Settings on stdin."""

import json
import sys

import pika

order = json.load(sys.stdin)
connection = pika.BlockingConnection(pika.URLParameters(order["amqpUrl"]))
channel = connection.channel()
channel.confirm_delivery()
# Raises an exception when the broker refuses the message or cannot route it.
channel.basic_publish(
    exchange=order["exchange"],
    routing_key=order["routingKey"],
    body=order["body"].encode(),
    properties=pika.BasicProperties(
        content_type="application/json",
        delivery_mode=pika.DeliveryMode.Persistent,
        message_id=order["messageId"],
    ),
    mandatory=True,
)
connection.close()
json.dump({"confirmed": True}, sys.stdout)
