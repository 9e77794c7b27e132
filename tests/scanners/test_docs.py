"""The page on scanners, run."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from django.test import override_settings

from tests.example.blocks import blocks_of
from tests.scanners.clamd import clamd
from twofa import scanners
from twofa.checks import documents
from twofa.exceptions import ScannerUnavailable

PAGE = blocks_of("docs/howto/scan-for-viruses.md")
SETTINGS = [block for block in PAGE if block.kind == "scanner"]
(CHECK,) = (block for block in PAGE if block.kind == "check")
OWN, OWN_SETTINGS = (block for block in PAGE if block.kind == "own")


def run(code: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(code, "page", "exec"), names)  # noqa: S102 - our own page
    return names


def configured(code: str) -> Any:
    return run(code, {})["TWOFA_DOCUMENT_SCANNER"]


@pytest.mark.parametrize("over", ["socket", "host"])
def test_look_of_the_page_passes_with_its_settings_and_fails_without_the_daemon(over, tmp_path):
    path = tmp_path / "clamd.ctl" if over == "socket" else None
    (given,) = (entry for entry in map(configured, (block.code for block in SETTINGS)) if over in entry["OPTIONS"])
    with clamd(path=path) as daemon:
        place = {"socket": str(path)} if path else {"port": daemon.address[1]}
        entry = {**given, "OPTIONS": {**given["OPTIONS"], **place}}
        with override_settings(TWOFA_DOCUMENT_SCANNER=entry):
            assert list(documents.scanner()) == []
            run(CHECK.code, {})
    assert len(daemon.files) == 2

    with override_settings(TWOFA_DOCUMENT_SCANNER=entry), pytest.raises(ScannerUnavailable):
        run(CHECK.code, {})


def test_look_of_the_page_fails_without_a_scanner():
    with pytest.raises(AssertionError):
        run(CHECK.code, {})


def test_scanner_of_one_s_own_works(monkeypatch):
    module = ModuleType("shop.scanners")
    run(OWN.code, vars(module))
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    monkeypatch.setitem(sys.modules, "shop.scanners", module)

    with override_settings(TWOFA_DOCUMENT_SCANNER=configured(OWN_SETTINGS.code)):
        assert list(documents.scanner()) == []
        assert scanners.inspect(b"x" * 2_000_000).is_clean
        assert scanners.inspect(b"x" * 2_000_001) == scanners.Verdict.infected("too large")
