"""The storage of sealed files: the alias ``twofa_documents`` of ``STORAGES``, or a private folder where there is none.

Never the default storage: what hosts keep there has a public address, and a sealed file has no reason to have one.
A storage is anybody's code over anybody's network, so whatever it raises is one error here, and nothing that it says
is taken on trust: not the name that it was told, not that a file is gone, not how long a file is.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages

from twofa.conf import conf
from twofa.exceptions import StorageUnavailable

logger = logging.getLogger(__name__)

ALIAS = "twofa_documents"
MAX_BYTES = 32 * 1024 * 1024
"""The longest sealed file: an upload of 10 MiB, made anew as a picture, with room to spare."""
RETRY_AFTER = 60
"""Seconds after which a caller may try again: about what it takes to mend a storage or a setting."""
_NAME_BYTES = 20


class PrivateFolder(FileSystemStorage):
    """A folder that only the user of this process can enter, whose files have no address.

    Django's own takes ``MEDIA_URL`` where no address is given, and leaves folders to the process's umask.
    """

    base_url = None  # type: ignore[assignment]  # what Django's own refuses to make addresses by

    def __init__(self, location: str | os.PathLike[str] | None = None) -> None:
        super().__init__(
            location=conf.documents_folder if location is None else location,
            file_permissions_mode=0o600,
            directory_permissions_mode=0o700,
        )

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Store a file, in a folder that was private from its first moment."""
        # Left to Django it would be made as the parent of a file's folder, with the mode of the umask.
        os.makedirs(self.location, mode=0o700, exist_ok=True)
        return super().save(name, content, max_length)


def document_storage() -> Storage:
    """Return the storage of documents; what building it raises is its own."""
    return storages[ALIAS] if ALIAS in storages.backends else PrivateFolder()


def new_name() -> str:
    """Return a name that nobody can guess and that tells nothing: no extension, no id, nothing of the person.

    The folder before it keeps folders small: a local file system slows down with a million files in one.
    """
    name = secrets.token_hex(_NAME_BYTES)
    return f"{name[:2]}/{name}"


def put(name: str, ciphertext: bytes) -> None:
    """Store a sealed file under this name and no other. Raises: StorageUnavailable.

    ValueError, where it is longer than ``MAX_BYTES``: it could never be fetched.
    """
    if len(ciphertext) > MAX_BYTES:
        raise ValueError(f"a sealed file has at most {MAX_BYTES} bytes")
    with _answering("stored") as storage:
        kept = storage.save(name, ContentFile(ciphertext))
        if kept != name:
            # Its row would name a file that is not there, or another's, and this one would never be erased.
            storage.delete(kept)
            raise OSError("the storage kept it under another name")


def fetch(name: str) -> bytes:
    """Return a sealed file. Raises: StorageUnavailable, also where it is not there."""
    with _answering("read") as storage, storage.open(name) as file:
        # Asked first: a storage may load all of a file before it gives the first byte.
        ciphertext: bytes = file.read(MAX_BYTES + 1) if file.size <= MAX_BYTES else b""
        if not 0 < len(ciphertext) <= MAX_BYTES:
            raise OSError("empty, or longer than any that was stored")
        return ciphertext


def erase(name: str) -> None:
    """Delete a file and see that it is gone; one that is gone already is fine. Raises: StorageUnavailable.

    A bucket with versions keeps them: that the file's key is erased as well is what makes these unreadable.
    """
    with _answering("erased") as storage:
        if not storage.exists(name):
            # As it should be where an erasure is repeated, but a wrong bucket or a disk not mounted looks the same.
            logger.warning("a document that was to be erased was not there: %s", name)
        storage.delete(name)
        if storage.exists(name):
            raise OSError("it is still there")


def exists(name: str) -> bool:
    """Tell whether there is such a file. Raises: StorageUnavailable, which says neither yes nor no."""
    with _answering("looked for") as storage:
        return bool(storage.exists(name))


@contextmanager
def _answering(done: str) -> Iterator[Storage]:
    try:
        yield document_storage()
    except Exception as error:
        # The operator's log says what it was; the caller learns that it was the storage, and no more.
        logger.error("a document could not be %s: %s: %s", done, type(error).__name__, error)
        raise StorageUnavailable(RETRY_AFTER) from error
