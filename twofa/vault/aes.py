"""AES-256-GCM with a random nonce before the text. The one module that needs ``cryptography``."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from twofa.exceptions import DocumentUnreadable

_NONCE_BYTES = 12
_TAG_BYTES = 16


def encrypt(key: bytes, text: bytes, bound: bytes) -> bytes:
    """Return nonce and ciphertext; ``bound`` is not in it, but decrypting needs the same."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, bound)


def decrypt(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """Return the text. Raises: DocumentUnreadable for another key, other bytes, or another ``bound``."""
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        raise DocumentUnreadable
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, bound)
    except InvalidTag:
        raise DocumentUnreadable from None
