import base64, hashlib, hmac, time

TOLERANCE = 5 * 60  # seconds; an older request may be a replay


def verify(secret: str, headers: dict, body: bytes) -> bool:
    """Returns whether Postrider sent the request. `body` is the raw body, not parsed JSON."""
    identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    if not key:
        return False  # anybody can sign with an empty secret
    signed = f"{identity}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    # During a rotation there are several signatures. One valid signature is enough.
    return any(hmac.compare_digest(expected, given) for given in headers.get("webhook-signature", "").split(" "))
