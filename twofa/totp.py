"""Time-based one-time passwords (RFC 6238), as authenticator apps compute them. Pure: no database, no clock, no keys.

Six digits of SHA-1 every 30 seconds: apps ignore any other parameter without a word, and then show codes that are never
right. HMAC-SHA-1 is not weakened by collisions (RFC 6238, section 1.2; NIST SP 800-131A Rev. 2, section 10).
"""

from __future__ import annotations

import base64
import hmac
import io
from datetime import datetime
from urllib.parse import quote, urlencode

DIGITS = 6
PERIOD = 30
SECRET_BYTES = 20
"""160 bits, as long as the hash (RFC 4226, section 4, R6)."""
TOLERANCE = 1
"""Steps before and after the present one that are still taken.

One for the way and the typing (RFC 6238, section 5.2, allows at most one). OWASP ASVS 6.5.5 asks for 30 seconds, which
only a tolerance of none keeps to, and then whoever reads a code in its last second is refused. Each code is taken once,
and wrong ones in a row are limited, so two more codes of a million give a guess nothing worth having.
"""


def step_at(at: datetime) -> int:
    """Return the number of the time step (T of RFC 6238, section 4.2)."""
    return int(at.timestamp()) // PERIOD


def code_of(secret: bytes, step: int) -> str:
    """Return the code of one step (RFC 4226, section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matching_step(secret: bytes, code: str, *, at: datetime) -> int | None:
    """Return the newest step whose code this is, within :data:`TOLERANCE` of ``at``, or None.

    All are compared, and in constant time. The newest, because a step is worth nothing once a later one was taken: were
    two steps to share a code, the older one would let it be used again.
    """
    found, present = None, step_at(at)
    for step in range(present - TOLERANCE, present + TOLERANCE + 1):
        if step >= 0 and hmac.compare_digest(code.encode(), code_of(secret, step).encode()):
            found = step
    return found


def picture(uri: str) -> str | None:
    """Return the QR code of what an app reads, as SVG; None where nothing here draws it.

    The library is not installed, or the names in it are too long for a picture. Drawn here, because a drawing service
    would have the secret.
    """
    try:
        import segno  # noqa: PLC0415 - an optional dependency
    except ImportError:
        return None
    try:
        drawn = segno.make(uri, micro=False, error="m")
    except segno.DataOverflowError:
        return None
    svg = io.BytesIO()
    # With its namespace: without it browsers draw what is in a page, and no file or ``<img>``.
    drawn.save(svg, kind="svg", scale=5, border=4, dark="#000", light="#fff", xmldecl=False, nl=False)
    return svg.getvalue().decode()


def provisioning_uri(secret: bytes, *, issuer: str, account: str) -> str:
    """Return what an app reads from the picture (the Key URI Format that all of them know)."""
    # A colon divides the two in the label, and apps take the first one.
    label = ":".join(quote(part.replace(":", " "), safe="") for part in (issuer, account))
    text = base64.b32encode(secret).decode().rstrip("=")
    query = {"secret": text, "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": PERIOD}
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"
