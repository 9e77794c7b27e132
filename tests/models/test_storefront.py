from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.models.violations import copy, violates
from twofa.models import IdempotencyRecord, StorefrontKey, granted
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


def mint(storefront, **options):
    return StorefrontKey.mint(storefront, **{"expires_at": None, **options})


def test_key_opens_by_its_whole_text_alone(shop):
    key, text = mint(shop.storefront)
    assert key.opens(text)
    for wrong in ("", text[:-1], text + "x", text.upper(), f"twofa_{key.prefix}_", key.prefix):
        assert not key.opens(wrong)


def test_text_of_a_key_is_not_stored(shop):
    key, text = mint(shop.storefront)
    key.save()
    secret = text.split("_", 2)[2]
    row = StorefrontKey.objects.values().get(pk=key.pk)
    assert not [value for value in row.values() if secret in str(value)]
    assert len(secret) >= 43, "256 bits"
    assert secret not in str(key) + repr(key)


@pytest.mark.parametrize(
    "text",
    ["", "twofa", "twofa_", "twofa__", "twofa_abc_secret", "other_0123456789ab_secret", "twofa_0123456789ab_"]
    + [
        "twofa_0123456789ab",
        "twofa_0123456789a\x00_secret",
        "twofa_０１２３４５６７８９ab_secret",
        "twofa_0123456789AB_secret",
    ],
    ids=ascii,
)
def test_what_is_no_key_has_no_prefix(text):
    assert StorefrontKey.prefix_of(text) is None


def test_prefix_of_a_key(shop):
    key, text = mint(shop.storefront)
    assert StorefrontKey.prefix_of(text) == key.prefix


def test_key_lives_until_it_expires_or_is_revoked(shop):
    at = now()
    key, _text = mint(shop.storefront, expires_at=at)
    key.save()
    for moment, live in ((at - timedelta(milliseconds=1), True), (at, False), (at + timedelta(milliseconds=1), False)):
        assert key.is_live(moment) is live
        assert StorefrontKey.objects.live(moment).exists() is live
    key.revoked_at = at - timedelta(days=1)
    key.save()
    assert not key.is_live(at - timedelta(hours=1))
    assert not StorefrontKey.objects.live(at - timedelta(hours=1)).exists()


def test_prefix_is_unique(shop):
    key, _text = mint(shop.storefront)
    key.save()
    with violates("prefix"):
        copy(key)


def test_idempotency_key_is_unique_in_storefront_and_path(shop):
    record = IdempotencyRecord.objects.create(
        storefront=shop.storefront, path="/a/", key="k", fingerprint=b"x" * 32, kid="test", claimed_at=now()
    )
    copy(record, path="/b/")
    copy(record, storefront_id=factories.storefront().pk)
    with violates("key"):
        copy(record)
    assert str(record) == "k"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([], {"checkout", "onboarding", "challenges"}),
        (["checkout"], {"checkout"}),
        (["checkout", "retired"], {"checkout"}),
        (["retired"], set()),
    ],
    ids=["none named", "one", "one that is no more beside it", "only one that is no more"],
)
def test_none_named_is_all_and_what_is_no_more_is_nothing(stored, expected):
    assert granted(stored) == expected
