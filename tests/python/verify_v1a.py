"""Verifies a `v1a` signature of Standard Webhooks with pyca/cryptography. The request on stdin."""

import base64
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

request = json.load(sys.stdin)
headers = request["headers"]
key = Ed25519PublicKey.from_public_bytes(base64.b64decode(request["publicKey"].removeprefix("whpk_"), validate=True))
signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{request['body']}".encode()


def fits(signature):
    try:
        key.verify(base64.b64decode(signature, validate=True), signed)
    except InvalidSignature:
        return False
    return True


schemes = [part.split(",", 1) for part in headers["webhook-signature"].split(" ")]
json.dump({"verified": any(fits(signature) for scheme, signature in schemes if scheme == "v1a")}, sys.stdout)
