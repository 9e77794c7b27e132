"""Where documents lie: sealed one by one, under names that say nothing, in a storage that nobody can browse."""

from __future__ import annotations

from twofa.vault.sealing import Sealed, fingerprint, fingerprints, seal, unseal
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
    "put",
    "seal",
    "unseal",
]
