"""Seal a file, open it again, and recognise a picture without keeping it.

Each file is encrypted with a key of its own, and that key is kept in the database, wrapped by the first key of
``TWOFA_DOCUMENT_KEYS``. Which attack each part answers:

- Whoever reads the storage (a bucket opened by mistake, a stolen disk, a provider's staff) has bytes without keys.
- Whoever reads the database has wrapped keys, without the ring and without the files.
- A file that was erased may live on in versions and backups of the storage. Its key stood in one row: with the row's
  key erased these copies are noise (crypto-shredding, NIST SP 800-88 Rev. 2), and with a key of the ring erased so is
  every file that it wrapped, copies of the database included.
- Whoever writes to the storage or to the database may lay one person's picture under the name of another. The name and
  whose it is are authenticated with the file and with its key, so that a file that was moved, or given to another
  participant, does not open.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from dataclasses import dataclass, field
from types import ModuleType

from django.core.exceptions import ImproperlyConfigured

from twofa import tokens
from twofa.conf import conf
from twofa.exceptions import DocumentUnreadable, StorageUnavailable
from twofa.vault.storage import RETRY_AFTER

logger = logging.getLogger(__name__)

VERSION = b"\x01"
"""The first byte of each file, so that another way of sealing can be told apart later."""
_KEY_BYTES = 32


@dataclass(frozen=True)
class Sealed:
    """A file ready to be stored, and what its row keeps to open it: ``kid`` and ``wrapped_key``."""

    kid: str
    wrapped_key: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


def seal(data: bytes, *, name: str, owner: str = "") -> Sealed:
    """Encrypt a file for one place of the storage and one ``owner``, whose it is and no other's.

    AES-256-GCM (NIST SP 800-38D), for the file and for its key. The nonces are random: a file's key encrypts once, and
    one key of the ring may wrap 2^32 others (section 8.3). Raises: StorageUnavailable where no key can be had.
    """
    kid, key = _first()
    aes = _aes()
    file_key = secrets.token_bytes(_KEY_BYTES)
    return Sealed(
        kid=kid,
        wrapped_key=aes.encrypt(_wrapping(key), file_key, _bound("document-key", kid, name, owner)),
        ciphertext=VERSION + aes.encrypt(file_key, data, _bound("document", name, owner)),
    )


def unseal(ciphertext: bytes, *, name: str, kid: str, wrapped_key: bytes, owner: str = "") -> bytes:
    """Return the file that was sealed under this name, for this owner.

    Raises: DocumentUnreadable where its key is gone or a byte was changed, StorageUnavailable where there is no ring.
    """
    key = _ring().get(kid)
    if key is None:
        logger.error("a document was sealed with the key %r, which is not in TWOFA_DOCUMENT_KEYS", kid)
        raise DocumentUnreadable
    if ciphertext[:1] != VERSION or not wrapped_key:
        raise DocumentUnreadable
    aes = _aes()
    try:
        file_key = aes.decrypt(_wrapping(key), wrapped_key, _bound("document-key", kid, name, owner))
        data: bytes = aes.decrypt(file_key, ciphertext[1:], _bound("document", name, owner))
    except DocumentUnreadable:
        # Which it is nobody can tell: another key under the same id, or changed bytes.
        logger.error("a document does not open: it was changed, or %r names another key now", kid)
        raise
    return data


def fingerprint(content_digest: bytes) -> tuple[str, bytes]:
    """Return the first key's id, and the keyed digest by which the same picture is recognised.

    Keyed, because a plain hash tells whoever reads the database that a picture they hold was sent here.
    Raises: StorageUnavailable where no key can be had.
    """
    kid, key = _first()
    return kid, _recognised(key, content_digest)


def fingerprints(content_digest: bytes) -> list[tuple[str, bytes]]:
    """Return the same under every key of the ring: what was stored before a rotation is still found.

    Raises: StorageUnavailable where no key can be had.
    """
    return [(kid, _recognised(key, content_digest)) for kid, key in _ring().items()]


def _ring() -> dict[str, bytes]:
    try:
        ring = conf.document_keys
    except ImproperlyConfigured as error:
        logger.error("no document can be stored or read: %s", error)
        raise StorageUnavailable(RETRY_AFTER) from None
    if not ring:
        logger.error("no document can be stored or read: TWOFA_DOCUMENT_KEYS is empty")
        raise StorageUnavailable(RETRY_AFTER)
    return ring


def _first() -> tuple[str, bytes]:
    return next(iter(_ring().items()))


def _wrapping(key: bytes) -> bytes:
    return tokens.subkey(key, "document-key")


def _recognised(key: bytes, content_digest: bytes) -> bytes:
    return hmac.digest(tokens.subkey(key, "document-fingerprint"), tokens.encode(content_digest), "sha256")


def _bound(label: str, *fields: str) -> bytes:
    return tokens.encode((tokens.VERSION, label, *fields))


def _aes() -> ModuleType:
    try:
        from twofa.vault import aes  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        logger.error("no document can be stored or read: %s (install django-twofa[documents])", error)
        raise StorageUnavailable(RETRY_AFTER) from error
    return aes
