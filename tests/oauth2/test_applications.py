"""Linking and unlinking: what may be linked, and the trail that it leaves."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

from tests import factories
from tests.oauth2.clients import linked, register
from tests.stories import STAFF
from twofa.contrib.oauth2 import applications
from twofa.contrib.oauth2.models import StorefrontApplication
from twofa.exceptions import PolicyRefused
from twofa.models import Event

pytestmark = pytest.mark.django_db


def events() -> list[tuple[str, str, dict[str, Any]]]:
    rows = Event.objects.filter(type__contains="application").order_by("pk")
    return list(rows.values_list("type", "actor", "data"))


def test_link_and_its_end_are_events_with_a_name(shop):
    application = linked(shop, "challenges", "checkout")
    client = {"application": application.client_id}
    row = StorefrontApplication.objects.get()

    applications.unlink(row, actor=STAFF)
    applications.unlink(row, actor=STAFF)

    assert (row.storefront, row.scopes) == (shop.storefront, ["checkout", "challenges"])
    assert not StorefrontApplication.objects.exists()
    assert events() == [
        ("storefront.application_linked", "maria", {**client, "scopes": ["checkout", "challenges"]}),
        ("storefront.application_unlinked", "maria", client),
    ]
    assert set(Event.objects.filter(type__contains="application").values_list("storefront_id", flat=True)) == {
        shop.storefront.pk
    }


@pytest.mark.parametrize(
    "columns",
    [
        {"client_type": "public"},
        {"authorization_grant_type": "authorization-code"},
        {"authorization_grant_type": "password"},
    ],
    ids=str,
)
def test_application_that_is_no_backend_is_not_linked(shop, columns):
    with pytest.raises(PolicyRefused, match="policy_refused"):
        applications.link(register(**columns), storefront=shop.storefront, actor=STAFF)

    assert not StorefrontApplication.objects.exists()
    assert events() == []


def test_application_calls_as_one_storefront(shop):
    application = linked(shop)
    with pytest.raises(PolicyRefused):
        applications.link(application, storefront=factories.storefront(), actor=STAFF)

    assert StorefrontApplication.objects.get().storefront == shop.storefront
    assert len(events()) == 1


def test_scope_that_is_not_there_links_nothing(shop):
    with pytest.raises(PolicyRefused):
        applications.link(register(), storefront=shop.storefront, scopes=["everything"], actor=STAFF)

    assert not StorefrontApplication.objects.exists()
    assert events() == []


def test_storefront_may_have_several_applications(shop):
    linked(shop)
    linked(shop)

    assert StorefrontApplication.objects.filter(storefront=shop.storefront).count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_links_at_once_one_is_made(threads):
    application, storefronts = register(), [factories.storefront(), factories.storefront()]

    told = threads([lambda one=one: applications.link(application, storefront=one, actor=STAFF) for one in storefronts])

    assert sorted(type(outcome).__name__ for outcome in told) == ["PolicyRefused", "StorefrontApplication"]
    assert StorefrontApplication.objects.count() == len(events()) == 1


def test_models_have_all_their_migrations():
    call_command("makemigrations", "--check", "--dry-run", "twofa_oauth2", verbosity=3)
