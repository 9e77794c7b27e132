"""Where identity documents lie, and who scans them, from the environment: a private folder until a bucket is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def storage(environ: Mapping[str, str], *, folder: Path) -> dict[str, Any]:
    """Return ``STORAGES["twofa_documents"]``: the bucket ``DOCUMENTS_BUCKET``, else ``DOCUMENTS_FOLDER`` or ``folder``.

    Neither has an address: whoever may look at a document does so in the admin. Why each option is there:
    docs/howto/store-documents-on-s3.md.
    """
    bucket = environ.get("DOCUMENTS_BUCKET")
    if not bucket:
        location = environ.get("DOCUMENTS_FOLDER") or str(folder)
        return {"BACKEND": "twofa.vault.PrivateFolder", "OPTIONS": {"location": location}}
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {"bucket_name": bucket, **_s3(environ)}}


def _s3(environ: Mapping[str, str]) -> dict[str, Any]:
    from botocore.config import Config  # type: ignore[import-untyped]  # of the extra `s3`, and without types

    return {
        "region_name": environ.get("DOCUMENTS_REGION") or None,
        "endpoint_url": environ.get("DOCUMENTS_ENDPOINT") or None,
        "default_acl": None,
        "object_parameters": {"ServerSideEncryption": "AES256"},
        "custom_domain": None,
        "querystring_auth": True,
        # Without limits a provider that accepts and never answers would hold a thread for minutes.
        "client_config": Config(
            connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2}
        ),
    }


def scanner(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return ``TWOFA_DOCUMENT_SCANNER``: ClamAV at ``CLAMAV_URL``, ``tcp://host:3310`` or ``unix:///run/clamd.ctl``.

    None where no address is given. Raises: ImproperlyConfigured for one that cannot be read.
    """
    address = environ.get("CLAMAV_URL")
    if not address:
        return None
    parts = urlsplit(address)
    if parts.scheme == "unix" and parts.path:
        options: dict[str, Any] = {"socket": parts.path}
    elif parts.scheme == "tcp" and parts.hostname:
        options = {"host": parts.hostname, "port": parts.port or 3310}
    else:
        raise ImproperlyConfigured("CLAMAV_URL looks like tcp://host:3310 or unix:///run/clamav/clamd.ctl")
    return {"BACKEND": "twofa.scanners.clamav.ClamAVScanner", "OPTIONS": options}
