from __future__ import annotations

from datetime import timedelta

import pytest

from twofa.models import AccessToken, StorefrontKey
from twofa.models.clock import now


@pytest.mark.django_db
def test_token_is_live_until_it_expires_or_is_revoked():
    at = now()
    token, _text = AccessToken.mint(created_at=at, expires_at=at + timedelta(hours=1))
    assert token.is_live(at)
    assert token.is_live(at + timedelta(minutes=59))
    assert not token.is_live(token.expires_at)
    token.revoked_at = at
    assert not token.is_live(at)


def test_token_is_no_key_and_a_key_no_token():
    _token, text = AccessToken.mint()
    _key, key = StorefrontKey.mint(None, expires_at=None)
    assert (AccessToken.prefix_of(key), StorefrontKey.prefix_of(text)) == (None, None)
    assert AccessToken.prefix_of(text) in text


def test_secret_has_256_bits_and_no_two_are_one():
    texts = {AccessToken.mint()[1] for _token in range(100)}
    assert {len(text) for text in texts} == {len("twofa_at_") + 12 + 1 + 43}
    assert len(texts) == 100
