from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.canary import secret_of
from tests.statements import record_statements
from tests.stories import STAFF, refused, travel, unchanged
from twofa.exceptions import NotAuthenticated, PolicyRefused
from twofa.flows import storefronts
from twofa.models import Event, Scope, Storefront, StorefrontKey
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture
def issued(shop) -> tuple[StorefrontKey, str]:
    return storefronts.issue_key(shop.storefront, actor=STAFF)


def test_storefront_is_opened_with_its_campaigns_and_a_trace():
    campaign = factories.campaign()
    storefront = storefronts.open_storefront(name="Shop", campaigns=[campaign], actor=STAFF)
    assert list(storefront.campaigns.all()) == [campaign]
    assert Event.objects.get(type="storefront.opened").actor == "maria"
    storefronts.serve(storefront, [campaign, factories.campaign()], actor=STAFF)
    assert storefront.campaigns.count() == 2
    assert len(Event.objects.get(type="storefront.campaigns_added").data["campaigns"]) == 1
    with unchanged():
        storefronts.serve(storefront, [campaign], actor=STAFF)


def test_change_of_a_storefront_is_on_record(shop):
    campaign = factories.campaign()
    storefronts.update(shop.storefront, actor=STAFF, changes={"is_active": False, "campaigns": [campaign]})
    row = Storefront.objects.get(pk=shop.storefront.pk)
    assert (row.is_active, list(row.campaigns.all())) == (False, [campaign])
    event = Event.objects.get(type="storefront.changed")
    assert event.data == {
        "before": {"is_active": True, "campaigns": [shop.campaign.slug]},
        "after": {"is_active": False, "campaigns": [campaign.slug]},
    }
    with unchanged():
        storefronts.update(shop.storefront, actor=STAFF, changes={"name": row.name, "campaigns": [campaign]})


def test_mode_of_completion_is_on_record_and_known_to_whoever_is_authenticated(shop, issued):
    storefronts.update(shop.storefront, actor=STAFF, changes={"completion_mode": "async"})
    event = Event.objects.get(type="storefront.changed")
    assert event.data == {"before": {"completion_mode": ""}, "after": {"completion_mode": "async"}}
    with record_statements() as statements:
        assert storefronts.authenticate(issued[1]).storefront.completion_mode == "async"
    assert not [sql for sql in statements.counted[1:] if "completion_mode" in sql], str(statements)


def test_key_opens_the_door_of_its_storefront(shop, issued):
    key, text = issued
    assert storefronts.authenticate(text).storefront == shop.storefront
    event = Event.objects.get(type="storefront.key_issued")
    assert (event.actor, event.data) == ("maria", {"prefix": key.prefix, "scopes": []})
    assert key.expires_at - now() > timedelta(days=364)


@pytest.mark.parametrize(
    "mangle",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: text.upper(),
        lambda text: " " + text,
        lambda text: text.replace("twofa_", "twofa-"),
        lambda text: text[:20],
        lambda text: text.removesuffix(secret_of(text)),
        lambda text: "twofa_" + "0" * 12 + text[18:],
        lambda text: "twofa_0123456789a\x00_x",
        lambda text: text + "\x00",
        lambda text: "x" * 100_000,
        lambda text: "twofa_\u0660123456789ab_x",
    ],
    ids=range(13),
)
def test_anything_else_opens_nothing(issued, mangle):
    with refused(NotAuthenticated):
        storefronts.authenticate(mangle(issued[1]))


def test_revoked_key_is_dead_at_once(issued):
    key, text = issued
    storefronts.revoke_key(key, actor=STAFF)
    with refused(NotAuthenticated):
        storefronts.authenticate(text)
    assert Event.objects.filter(type="storefront.key_revoked").count() == 1
    with unchanged():
        storefronts.revoke_key(key, actor=STAFF)


def test_expired_key_opens_nothing(shop):
    _key, text = storefronts.issue_key(shop.storefront, actor=STAFF, expires_at=now() + timedelta(hours=1))
    storefronts.authenticate(text)
    travel(timedelta(hours=1))
    with refused(NotAuthenticated):
        storefronts.authenticate(text)


def test_storefront_that_is_switched_off_opens_nothing(shop, issued):
    Storefront.objects.filter(pk=shop.storefront.pk).update(is_active=False)
    with refused(NotAuthenticated):
        storefronts.authenticate(issued[1])


def test_two_keys_live_at_a_time(shop, issued):
    second, _text = storefronts.issue_key(shop.storefront, actor=STAFF)
    with refused(PolicyRefused):
        storefronts.issue_key(shop.storefront, actor=STAFF)
    storefronts.revoke_key(second, actor=STAFF)
    storefronts.issue_key(shop.storefront, actor=STAFF)
    travel(timedelta(days=366))
    storefronts.issue_key(shop.storefront, actor=STAFF)


def test_key_without_an_end_is_the_hosts_choice(shop, settings):
    settings.TWOFA_KEY_LIFETIME = None
    key, text = storefronts.issue_key(shop.storefront, actor=STAFF)
    assert key.expires_at is None
    travel(timedelta(days=10_000))
    assert storefronts.authenticate(text).storefront == shop.storefront


def test_use_is_noted_once_a_minute(issued):
    key, text = issued
    storefronts.authenticate(text)
    with unchanged():
        storefronts.authenticate(text)
    first = StorefrontKey.objects.get(pk=key.pk).last_used_at
    travel(timedelta(minutes=1))
    storefronts.authenticate(text)
    assert StorefrontKey.objects.get(pk=key.pk).last_used_at > first


def test_key_is_in_no_event(issued):
    secret = issued[1].split("_", 2)[2]
    assert not [event for event in Event.objects.all() if secret in str(vars(event))]


def test_key_without_named_scopes_opens_all_of_them(issued):
    assert storefronts.authenticate(issued[1]).scopes == set(Scope.values)


def test_named_scopes_are_all_that_a_key_opens(shop):
    key, text = storefronts.issue_key(shop.storefront, actor=STAFF, scopes=["challenges", "checkout", "checkout"])
    assert storefronts.authenticate(text).scopes == {"checkout", "challenges"}
    event = Event.objects.get(type="storefront.key_issued")
    assert event.data == {"prefix": key.prefix, "scopes": ["checkout", "challenges"]}


def test_scope_that_is_not_there_issues_no_key(shop):
    with refused(PolicyRefused):
        storefronts.issue_key(shop.storefront, actor=STAFF, scopes=["checkout", "everything"])


def test_key_of_a_scope_that_is_no_more_opens_nothing(issued):
    """Taken out of the list it must not become the empty list, which is all."""
    key, text = issued
    StorefrontKey.objects.filter(pk=key.pk).update(scopes=["retired"])
    with refused(NotAuthenticated):
        storefronts.authenticate(text)
