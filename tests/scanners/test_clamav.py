"""The scanner of ClamAV, against a server that speaks its daemon's protocol, well and badly."""

from __future__ import annotations

import io
import socket

import pytest

from tests.channels.rawserver import dripping, unanswered
from tests.scanners.clamd import EICAR_MARK, OK, Clamd, clamd, taking_at_most
from twofa import scanners
from twofa.exceptions import ScannerUnavailable
from twofa.scanners.clamav import MAX_REPLY, ClamAVScanner

PICTURE = bytes(range(256)) * 1024
"""Longer than one chunk."""
PATIENCE = 0.5


def scan(daemon: Clamd, data: bytes = PICTURE, *, timeout: float = 10.0) -> scanners.Verdict:
    host, port = daemon.address
    return ClamAVScanner(host=host, port=port, timeout=timeout).scan(io.BytesIO(data))


def test_clean_file_arrives_whole_and_is_clean():
    with clamd() as daemon:
        assert scan(daemon) == scanners.Verdict.clean()
        assert scan(daemon, b"") == scanners.Verdict.clean()
    assert daemon.files == [PICTURE, b""]


def test_virus_is_named():
    with clamd() as daemon:
        verdict = scan(daemon, PICTURE + EICAR_MARK)

    assert verdict == scanners.Verdict(is_clean=False, reason="Eicar-Test-Signature")


def test_unix_socket_is_asked_as_well(tmp_path):
    with clamd(path=tmp_path / "clamd.ctl") as daemon:
        scanner = ClamAVScanner(socket=daemon.address)
        assert scanner.scan(io.BytesIO(PICTURE)).is_clean
        assert not scanner.scan(io.BytesIO(EICAR_MARK)).is_clean
    assert daemon.files == [PICTURE, EICAR_MARK]


def test_name_is_connected_to_at_whichever_of_its_addresses_answers(monkeypatch):
    with clamd() as daemon, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", s) for s in (closed.getsockname(), daemon.address)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_where, **_what: addresses)
        assert ClamAVScanner(host="clamd").scan(io.BytesIO(PICTURE)).is_clean


NO_VERDICTS = {
    "error": [b"stream: Can't allocate memory ERROR\0"],
    "size": [b"INSTREAM size limit exceeded. ERROR\0"],
    "garbage": [b"\xff\xfe\x00\x01" * 50],
    "empty": [b"\0"],
    "nothing": [],
    "cut off": [b"stream: OK"],
    "line instead of text": [b"stream: OK\n"],
    "another name": [b"/etc/passwd: OK\0"],
    "more before": [b"x stream: OK\0"],
    "more inside": [b"stream: virus OK\0"],
    "more behind": [b"stream: OK\0stream: Eicar FOUND\0"],
    "two lines": [b"stream: a\nstream: OK\0"],
    "found without a name": [b"stream:  FOUND\0"],
    "lower case": [b"stream: ok\0"],
    "very long": [b"stream: " + b"x" * 10 * MAX_REPLY],
    "very long and found": [b"stream: " + b"x" * 10 * MAX_REPLY + b" FOUND\0"],
}


@pytest.mark.parametrize("script", NO_VERDICTS.values(), ids=NO_VERDICTS)
def test_any_other_answer_is_no_verdict(script, caplog):
    with clamd(script) as daemon, pytest.raises(ScannerUnavailable) as raised:
        scan(daemon)

    assert raised.value.params == {"retry_after": 60}
    (record,) = caplog.records
    assert record.getMessage().startswith("ClamAV gave no verdict: ")
    assert len(record.getMessage()) < 500


@pytest.mark.parametrize("data", [PICTURE, PICTURE * 200], ids=["buffered", "longer than any buffer"])
def test_file_longer_than_the_daemon_takes_is_no_verdict(data, caplog):
    with clamd(limit=100_000) as daemon, pytest.raises(ScannerUnavailable):
        scan(daemon, data)

    assert daemon.files == []
    assert len(caplog.records) == 1


def test_daemon_that_refuses_is_no_verdict():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(ScannerUnavailable), taking_at_most(2):
            ClamAVScanner(port=closed.getsockname()[1]).scan(io.BytesIO(PICTURE))


@pytest.mark.parametrize(
    "options",
    [
        {"socket": "/nowhere/clamd.ctl"},
        {"socket": "/" + "x" * 200},
        {"host": "a" * 70},
        {"host": "no-such-name.invalid"},
    ],
    ids=["no socket", "no path of a socket", "no name", "unknown name"],
)
def test_address_where_nobody_can_be_is_no_verdict(options, monkeypatch):
    def unknown(host, *_more, **_options):
        host.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ScannerUnavailable):
        ClamAVScanner(**options).scan(io.BytesIO(PICTURE))


SLOW = {
    "silent": {"script": [20.0, OK]},
    "dripping": {"script": dripping(OK, every=0.2)},
    "not reading": {"deaf": True},
}


@pytest.mark.parametrize("behaviour", SLOW.values(), ids=SLOW)
def test_all_of_an_exchange_is_bounded(behaviour):
    with clamd(**behaviour) as daemon, pytest.raises(ScannerUnavailable), taking_at_most(PATIENCE + 1):
        scan(daemon, PICTURE * 200, timeout=PATIENCE)


def test_connecting_is_bounded():
    with unanswered() as port, pytest.raises(ScannerUnavailable), taking_at_most(PATIENCE + 1):
        ClamAVScanner(port=port, timeout=PATIENCE).scan(io.BytesIO(PICTURE))


def test_nothing_is_sent_once_the_time_is_over():
    with clamd() as daemon, pytest.raises(ScannerUnavailable):
        scan(daemon, timeout=1e-9)
    assert daemon.files == []


def test_slow_but_complete_answer_within_the_time_counts():
    with clamd(dripping(OK, every=0.01)) as daemon:
        assert scan(daemon).is_clean


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1}, {"port": 0}, {"port": 70_000}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError):
        ClamAVScanner(**options)
