"""What the checks say of the address that links in messages begin with."""

from __future__ import annotations

import pytest

from tests.test_checks import found

BAD = {
    "number": 443,
    "empty": "",
    "http": "http://points.example/api/v1",
    "no-scheme": "points.example/api/v1",
    "no-host": "https:///api/v1",
    "ftp": "ftp://points.example",
    "javascript": "javascript://points.example/%0aalert(1)",
    "query": "https://points.example/api/v1?a=1",
    "empty-query": "https://points.example/api/v1?",
    "fragment": "https://points.example/#not-me",
    "credentials": "https://ana:secret@points.example/",
    "space": "https://points.example/api v1",
    "line": "https://points.example/api\n",
    "port": "https://points.example:port/",
    "unreadable": "https://[::1/",
    "no-loopback": "http://127.0.0.1.evil.example/",
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_address_that_no_link_should_begin_with_is_an_error(value: object):
    assert found(TWOFA_PUBLIC_URL=value) == ["twofa.E080"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "https://points.example",
        "https://points.example/api/v1/",
        "https://points.example:8443/api/v1",
        "http://localhost:8000/api/v1",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
    ],
)
def test_good_address_is_silent(value: object):
    assert found(TWOFA_PUBLIC_URL=value) == []
