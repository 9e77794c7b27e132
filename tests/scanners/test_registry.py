from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from tests.scanners.clamd import clamd
from twofa import scanners
from twofa.exceptions import ScannerUnavailable
from twofa.scanners import Verdict
from twofa.scanners.clamav import ClamAVScanner
from twofa.scanners.registry import MAX_REASON

HERE = "tests.scanners.test_registry"
BACKEND = {"BACKEND": f"{HERE}.Telling", "OPTIONS": {"word": "worm"}}


class Telling:
    """Says what it is told to say."""

    says: object = None

    def __init__(self, word: str = "") -> None:
        self.word = word

    def scan(self, file):
        assert file.tell() == 0
        if isinstance(self.says, BaseException):
            raise self.says
        return Verdict.infected(self.word) if self.word else self.says or Verdict(not file.read(), "not empty")


class Mute:
    """A scanner that forgot the one thing that scanners do."""


class Broken:
    def __init__(self) -> None:
        raise RuntimeError("no signatures")


def test_without_a_scanner_every_file_passes(settings):
    assert scanners.get_scanner() is None
    assert scanners.inspect(b"anything") == Verdict.clean()


@pytest.mark.parametrize("given", [Telling, f"{HERE}.Telling", {"BACKEND": f"{HERE}.Telling"}, {"BACKEND": Telling}])
def test_scanner_is_a_class_or_a_path_or_an_entry(given):
    with override_settings(TWOFA_DOCUMENT_SCANNER=given):
        assert isinstance(scanners.get_scanner(), Telling)
        assert scanners.inspect(b"x") == Verdict.infected("not empty")


def test_options_are_the_constructor_s_keywords():
    with override_settings(TWOFA_DOCUMENT_SCANNER=BACKEND):
        assert scanners.inspect(b"") == Verdict.infected("worm")


def test_scanner_is_built_once_for_as_long_as_the_setting_stands():
    with override_settings(TWOFA_DOCUMENT_SCANNER=Telling):
        assert scanners.get_scanner() is scanners.get_scanner()
    assert scanners.get_scanner() is None


BAD = [7, "no.such.Scanner", "Scanner", f"{HERE}.pytest", {}, {"OPTIONS": {}}, Broken]
BAD += [{**BACKEND, "OPTION": {}}, {**BACKEND, "OPTIONS": ["word"]}, {**BACKEND, "OPTIONS": {"no_such": 1}}]


@pytest.mark.parametrize("given", BAD, ids=map(str, range(len(BAD))))
def test_scanner_that_cannot_be_built_makes_no_file_clean(given, caplog):
    with override_settings(TWOFA_DOCUMENT_SCANNER=given):
        with pytest.raises(ImproperlyConfigured):
            scanners.get_scanner()
        with pytest.raises(ScannerUnavailable) as raised:
            scanners.inspect(b"x")

    assert raised.value.params == {"retry_after": 60}
    assert "TWOFA_DOCUMENT_SCANNER" in caplog.text


NO_VERDICTS = [True, "clean", 1, object(), {"is_clean": True}, Verdict("no"), Verdict(None), Verdict("")]
NO_VERDICTS += [ValueError("a private word"), OSError(), MemoryError(), ScannerUnavailable(5)]


@pytest.mark.parametrize("says", NO_VERDICTS, ids=map(str, range(len(NO_VERDICTS))))
def test_whatever_is_no_verdict_makes_no_file_clean(says, monkeypatch):
    monkeypatch.setattr(Telling, "says", says)
    with override_settings(TWOFA_DOCUMENT_SCANNER=Telling), pytest.raises(ScannerUnavailable) as raised:
        scanners.inspect(b"x")

    assert "private" not in f"{raised.value}{raised.value.detail}{raised.value.params}"


def test_scanner_without_scan_makes_no_file_clean():
    with override_settings(TWOFA_DOCUMENT_SCANNER=Mute), pytest.raises(ScannerUnavailable):
        scanners.inspect(b"x")


def test_reason_is_short_and_printable(monkeypatch):
    monkeypatch.setattr(Telling, "says", Verdict.infected("Worm\0\n‮" + "x" * 5000))
    with override_settings(TWOFA_DOCUMENT_SCANNER=Telling):
        reason = scanners.inspect(b"x").reason

    assert reason.startswith("Wormx")
    assert len(reason) <= MAX_REASON


def test_clamav_of_the_settings_is_asked():
    with clamd() as daemon:
        options = {"port": daemon.address[1]}
        entry = {"BACKEND": "twofa.scanners.clamav.ClamAVScanner", "OPTIONS": options}
        with override_settings(TWOFA_DOCUMENT_SCANNER=entry):
            assert isinstance(scanners.get_scanner(), ClamAVScanner)
            assert scanners.inspect(b"a picture").is_clean
    assert daemon.files == [b"a picture"]
