"""Verifies a received request with the published Standard Webhooks library. The request on stdin."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

request = json.load(sys.stdin)
try:
    Webhook(request["secret"]).verify(request["body"], request["headers"])
    verified = True
except WebhookVerificationError:
    verified = False
json.dump({"verified": verified}, sys.stdout)
