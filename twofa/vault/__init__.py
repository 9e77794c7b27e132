"""What is sealed: documents, in a storage that nobody can browse, and the secrets of authenticator apps."""

from __future__ import annotations

from twofa.vault.sealing import Sealed, fingerprint, fingerprints, seal, unseal
from twofa.vault.secrets import open_secret, seal_secret
from twofa.vault.storage import ALIAS, MAX_BYTES, PrivateFolder, erase, exists, fetch, new_name, put

__all__ = [
    "ALIAS",
    "MAX_BYTES",
    "PrivateFolder",
    "Sealed",
    "erase",
    "exists",
    "fetch",
    "fingerprint",
    "fingerprints",
    "new_name",
    "open_secret",
    "put",
    "seal",
    "seal_secret",
    "unseal",
]
