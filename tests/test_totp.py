from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django_otp import oath
from hypothesis import given
from hypothesis import strategies as st

from twofa import totp

RFC_SECRET = b"12345678901234567890"
AT = datetime(2030, 5, 6, 7, 8, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str):
    """RFC 6238, appendix B, of which an app shows the last six digits."""
    at = datetime.fromtimestamp(seconds, UTC)
    assert totp.code_of(RFC_SECRET, totp.step_at(at)) == code[-6:]


@given(secret=st.binary(min_size=20, max_size=20), step=st.integers(0, 2**40))
def test_codes_are_those_of_another_implementation(secret: bytes, step: int):
    assert totp.code_of(secret, step) == str(oath.hotp(secret, step)).zfill(6)


@pytest.mark.parametrize(("away", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_before_and_after_is_taken_and_no_other(away: int, taken: bool):
    step = totp.step_at(AT) + away
    found = totp.matching_step(RFC_SECRET, totp.code_of(RFC_SECRET, step), at=AT)
    assert found == (step if taken else None)


def test_of_two_steps_with_one_code_the_newest_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(totp, "code_of", lambda _secret, _step: "123456")
    assert totp.matching_step(RFC_SECRET, "123456", at=AT) == totp.step_at(AT) + 1


def test_step_lasts_thirty_seconds():
    assert totp.step_at(AT + timedelta(seconds=19)) == totp.step_at(AT)
    assert totp.step_at(AT + timedelta(seconds=20)) == totp.step_at(AT) + 1


def test_app_reads_the_secret_and_whose_it_is():
    uri = urlsplit(totp.provisioning_uri(RFC_SECRET, issuer="Café: points", account="ana&x=1"))
    read = {name: values[0] for name, values in parse_qs(uri.query).items()}
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/Caf%C3%A9%20%20points:ana%26x%3D1")
    assert base64.b32decode(read.pop("secret")) == RFC_SECRET
    assert read == {"issuer": "Café: points", "algorithm": "SHA1", "digits": "6", "period": "30"}


def test_picture_holds_what_the_app_reads():
    drawn = totp.picture(totp.provisioning_uri(b"s" * 20, issuer="Miles", account="u-42"))
    assert drawn is not None
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"'), "else no file and no <img> shows it"
    assert "otpauth" not in drawn


def test_names_too_long_for_a_picture_are_none():
    assert totp.picture(totp.provisioning_uri(b"s" * 20, issuer="積" * 150, account="u" * 128)) is None
