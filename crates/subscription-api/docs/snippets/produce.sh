#!/usr/bin/env bash
# Publishes one event without an AMQP client. The response is 202 once RabbitMQ has confirmed the event.
# After an error, retry with the same Idempotency-Key: it remains one event.
set -euo pipefail

curl --fail-with-body --silent --show-error "$POSTRIDER_URL/v1/${BRAND:-acme}/events" \
  -H "Authorization: Bearer $POSTRIDER_TOKEN" -H 'content-type: application/json' \
  -H 'Idempotency-Key: order-4714-shipped' \
  -d '{"type":"NOTIFICATION.SMS.RECEIPT","data":{"phoneNumber":"+1234456789","message":"from curl"}}'
