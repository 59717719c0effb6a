#!/usr/bin/env bash
# Signs an event and sends it to a receiver, as Postrider does. Prints the status of the response, or 000 without one.
#   WEBHOOK_SECRET=whsec_… send.sh [URL]
#   TAMPER=1 send.sh [URL]                          changes the body after it was signed
#   CURL_CA_BUNDLE=ca.pem send.sh https://…         for a certificate of your own authority
set -euo pipefail

url=${1:-http://localhost:3000/webhooks}
secret=${WEBHOOK_SECRET:-whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}
id=01F2SFVYVD0H873S2VRT8VQSPM
timestamp=$(date +%s)
body='{"id":"'$id'","brandId":"acme","webhookId":"9e21c694-ee9e-48a7-b016-522fd8ef08c1",'
body+='"attemptId":"01F2SFW32CT8KZXDWG4JTG9WPT","created":"2021-04-08T19:36:02.938Z","type":"NOTIFICATION.SMS.RECEIPT",'
body+='"data":{"phoneNumber":"+1234456789","message":"Hello","locale":"en-US"}}'
key=$(printf %s "${secret#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \n')
signature=$(printf %s "$id.$timestamp.$body" |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64 | tr -d '\n')
[[ -z ${TAMPER:-} ]] || body=${body/Hello/Good-bye}
curl --silent --show-error --output /dev/null --write-out '%{http_code}\n' "$url" \
  -H 'content-type: application/json' -H "webhook-id: $id" -H "webhook-timestamp: $timestamp" \
  -H "webhook-signature: v1,$signature" --data-binary "$body"
