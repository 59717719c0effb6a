import base64, hashlib, hmac, time

TOLERANCE = 5 * 60  # seconds: an older request may be a recording


def verify(secret: str, headers: dict, body: bytes) -> bool:
    """Whether a request is from Postrider. `body` is the raw body, before any JSON parser saw it."""
    identity, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{identity}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    # Several signatures while a secret is rotated: one that fits is enough.
    return any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split(" "))
