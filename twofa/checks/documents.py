"""Where documents lie, and who scans them before: usable, and not public."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage
from django.core.files.storage import FileSystemStorage

from twofa.checks import findings
from twofa.checks.backends import describe
from twofa.conf import conf
from twofa.scanners.registry import build, scanner_of
from twofa.vault.storage import document_storage

PUBLIC_ACLS = ("public", "authenticated-read")
"""How the names of ACLs begin that let in everybody, or every customer of the provider (S3, Google Cloud Storage)."""


def scanner() -> Iterator[CheckMessage]:
    given = conf.document_scanner
    if given is None:
        return
    try:
        made, _options = scanner_of(given)
        if not callable(getattr(made, "scan", None)):
            yield findings.SCANNER_CANNOT_SCAN()
            return
        build(given)
    except ValueError as error:
        yield findings.SCANNER_NOT_USABLE(why=error)


def storage() -> Iterator[CheckMessage]:
    try:
        built = document_storage()
    except Exception as error:  # noqa: BLE001 - a third party's module or constructor may raise anything
        yield findings.STORAGE_NOT_USABLE(why=describe(error))
        return
    if isinstance(built, FileSystemStorage):
        yield from _private_folder(built)
    yield from _private_bucket(built)


def _private_folder(built: FileSystemStorage) -> Iterator[CheckMessage]:
    where = Path(built.location).resolve()
    public = [folder for folder in conf.public_folders if where.is_relative_to(folder.resolve())]
    # Without a location of its own it is MEDIA_ROOT, whatever that is.
    if public or getattr(built, "_location", None) is None:
        yield findings.PUBLIC_STORAGE(why=f"the folder {where} is served by your web server")
    elif getattr(built, "_base_url", None) is not None:
        yield findings.ADDRESSABLE_STORAGE(why="it has a base_url", option="base_url")


def _private_bucket(built: Any) -> Iterator[CheckMessage]:
    # By their attributes: the classes are third parties', and need not be installed.
    parameters = getattr(built, "object_parameters", None) or {}
    for acl in (getattr(built, "default_acl", None), parameters.get("ACL")):
        if str(acl or "").lower().startswith(PUBLIC_ACLS):
            yield findings.PUBLIC_STORAGE(why=f"the ACL of its objects is {acl!r}")
    if getattr(built, "custom_domain", None):
        yield findings.ADDRESSABLE_STORAGE(why="it has a custom_domain", option="custom_domain")
    elif getattr(built, "querystring_auth", True) is False:
        yield findings.ADDRESSABLE_STORAGE(why="querystring_auth is False", option="querystring_auth")


CHECKS = (scanner, storage)
