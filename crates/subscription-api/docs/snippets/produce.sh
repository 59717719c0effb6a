#!/usr/bin/env bash
# Without an AMQP client. The answer 202 comes after the broker has confirmed. Retry it with the same
# Idempotency-Key, and it is one event all the same.
set -euo pipefail

curl --fail-with-body --silent --show-error "$POSTRIDER_URL/v1/acme/events" \
  -H "Authorization: Bearer $POSTRIDER_TOKEN" -H 'content-type: application/json' \
  -H 'Idempotency-Key: order-4714-shipped' \
  -d '{"type":"NOTIFICATION.SMS.RECEIPT","data":{"message":"from curl"}}'
