from __future__ import annotations

import os
import pwd
from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from tests import factories
from tests.fulfillment import RecordingBackend
from twofa.flows import restores, storefronts
from twofa.models import Delivery, Event, Storefront

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_sweep_sends_what_is_due_and_tells_it():
    RecordingBackend.reset()
    factories.Shop().open()
    assert "delivered: 1" in run("twofa_sweep")[0]
    assert Delivery.objects.get().status == "sent"
    assert run("twofa_sweep")[0] == ""


def test_storefront_is_opened_with_a_key_that_works():
    campaign = factories.campaign()
    key, told = run("twofa_storefront", "My shop", "--campaign", campaign.slug)
    assert "My shop" in told
    assert "opens nothing" not in told
    storefront = storefronts.authenticate(key.strip()).storefront
    assert storefront.name == "My shop"
    assert list(storefront.campaigns.all()) == [campaign]


def test_storefront_that_exists_is_given_another_campaign_without_a_key():
    first, second = factories.campaign(), factories.campaign()
    storefront = factories.storefront(first)
    assert run("twofa_storefront", storefront.name, "--campaign", second.slug, "--no-key") == ("", "")
    assert set(storefront.campaigns.all()) == {first, second}


def test_key_of_a_storefront_without_a_campaign_is_said_to_open_nothing():
    _key, told = run("twofa_storefront", "My shop")
    assert "It opens nothing yet: name a campaign" in told


def test_key_opens_the_scopes_that_the_command_names():
    key, _told = run("twofa_storefront", "My shop", "--scope", "checkout", "--scope", "challenges")
    assert storefronts.authenticate(key.strip()).scopes == {"checkout", "challenges"}


def test_scope_that_is_not_there_opens_no_storefront():
    with pytest.raises(CommandError, match="everything"):
        run("twofa_storefront", "My shop", "--scope", "everything")
    assert not Storefront.objects.exists()


def test_third_key_is_refused_with_what_to_do():
    run("twofa_storefront", "My shop")
    run("twofa_storefront", "My shop")
    with pytest.raises(CommandError, match="Revoke one of them"):
        run("twofa_storefront", "My shop")


@pytest.fixture
def nameless(monkeypatch):
    """Run as a number without a name, as containers do."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "getuid", lambda: 10001)


@pytest.mark.parametrize("command", [("twofa_storefront", "My shop"), ("twofa_roles",)], ids=lambda command: command[0])
def test_command_of_a_user_without_a_name_is_told_by_the_number(command, nameless):
    run(*command)
    assert set(Event.objects.values_list("actor_kind", "actor")) == {("staff", "uid 10001 (command line)")}
    assert Storefront.objects.exists() or Group.objects.exists()


def test_unknown_campaign_is_told_and_nothing_is_opened():
    with pytest.raises(CommandError, match="There is no campaign"):
        run("twofa_storefront", "My shop", "--campaign", "nowhere")
    assert not Storefront.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_pending_is_ended_by_a_user_without_a_name(nameless):
    RecordingBackend.reset()
    factories.Shop().open()
    assert run("twofa_end_pending", "--reason", "x")[0] == "Ended: 1.\n"
    assert Event.objects.get(type="redemption.cancelled").actor == "uid 10001 (command line)"


@pytest.mark.django_db(transaction=True)
def test_pending_is_ended_with_a_reason_after_a_restore():
    RecordingBackend.reset()
    redemption = factories.Shop().open()

    out, _err = run("twofa_end_pending", "--reason", "restored from backup")

    assert out == "Ended: 1.\n"
    redemption.refresh_from_db()
    assert (redemption.status, redemption.points) == ("cancelled", "released")


def test_pending_is_not_ended_without_a_reason():
    factories.Shop().open()
    with pytest.raises(CommandError, match="--reason"):
        run("twofa_end_pending")
    assert Delivery.objects.open().exists()


def test_what_could_not_be_ended_fails_the_command(monkeypatch):
    monkeypatch.setattr(restores, "end_pending", lambda **kwargs: (1, 2))
    with pytest.raises(CommandError, match="Not ended: 2"):
        run("twofa_end_pending", "--reason", "x")
