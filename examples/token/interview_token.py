"""An interview's token, for a backend in Python, without a dependency. The page gets it if it may hold this interview."""

import base64
import hmac
import json
import time


def interview_token(secret: str, user_id: str, interview_id: str) -> str:
    """Return a JWT that opens this one interview within five minutes."""
    now = int(time.time())
    claims = {"userId": user_id, "interviewId": interview_id, "iat": now, "exp": now + 300}
    signed = b".".join(_part(json.dumps(it).encode()) for it in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (signed + b"." + _part(hmac.digest(secret.encode(), signed, "sha256"))).decode()


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
