"""Seal the secret of an authenticator app, and open it again.

It cannot be stored as a hash, because each code is computed from it; django-otp's own ``otp_totp`` keeps it in clear.
Here it is encrypted under the first key of ``TWOFA_TOKEN_KEYS``: whoever reads the database, or an old copy of it,
could else compute every code that its owner will ever type. Whose it is, is authenticated with it, so that whoever may
write to the database cannot lay the secret of their own app under somebody else's name.
"""

from __future__ import annotations

import logging
from types import ModuleType
from uuid import UUID

from twofa import tokens
from twofa.exceptions import DocumentUnreadable, Unavailable

logger = logging.getLogger(__name__)

_LABEL = "authenticator-secret"
RETRY_AFTER = 60
"""Seconds. An operator has to put a key or a package in its place."""


def seal_secret(secret: bytes, *, owner: int, name: UUID) -> tuple[str, bytes]:
    """Return the id of the key, and the sealed secret (AES-256-GCM, NIST SP 800-38D). Raises: Unavailable."""
    kid = tokens.issuing_kid()
    return kid, _aes().encrypt(_key(kid), secret, _bound(kid, owner, name))


def open_secret(sealed: bytes, *, kid: str, owner: int, name: UUID) -> bytes:
    """Return the secret. Raises: Unavailable where its key left the ring, or the row is not as it was written."""
    aes = _aes()
    try:
        secret: bytes = aes.decrypt(_key(kid), sealed, _bound(kid, owner, name))
    except tokens.UnknownKey:
        logger.error("an authenticator was sealed with the key %r, which is not in TWOFA_TOKEN_KEYS", kid)
        raise Unavailable(RETRY_AFTER) from None
    except DocumentUnreadable:
        logger.error("authenticator %s does not open: its row was changed, or %r names another key now", name, kid)
        raise Unavailable(RETRY_AFTER) from None
    return secret


def _key(kid: str) -> bytes:
    return tokens.subkey(tokens.ring_key(kid), _LABEL)


def _bound(kid: str, owner: int, name: UUID) -> bytes:
    return tokens.encode((tokens.VERSION, _LABEL, kid, owner, name))


def _aes() -> ModuleType:
    try:
        from twofa.vault import aes  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        logger.error("no authenticator can be used: %s (install django-twofa[totp])", error)
        raise Unavailable(RETRY_AFTER) from error
    return aes
