from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.storage import storages

from tests.vault.page import BUCKET, KEY, of_kind, run, start
from twofa import vault


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def configure(settings, monkeypatch):
    """A host with the settings of the page, and the servers that a test has; `quick` cuts the page's patience."""

    def configure(endpoint: str, *, quick: bool = False) -> dict[str, Any]:
        variables = {"BUCKET": BUCKET, "REGION": "us-east-1", "ENDPOINT": endpoint}
        for name, value in variables.items():
            monkeypatch.setenv(f"DOCUMENTS_{name}", value)
        monkeypatch.setenv("TWOFA_DOCUMENT_KEY", KEY)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-account")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "its-secret")
        code = of_kind("s3").code
        if quick:
            code = re.sub(r"(connect|read)_timeout=\d", r"\1_timeout=0.3", code)
        names = run(code, {})
        settings.STORAGES, settings.TWOFA_DOCUMENT_KEYS = names["STORAGES"], names["TWOFA_DOCUMENT_KEYS"]
        return names

    return configure


@pytest.fixture
def bucket(s3, configure) -> Iterator[Any]:
    """The bucket of the page, through the client that the storage itself uses."""
    configure(s3)
    made = storages[vault.ALIAS].bucket
    made.create()
    yield made
    made.object_versions.delete()
    made.delete()
