"""Signing up with a code, in and out with a password and a code, in the shop: by its forms, over the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.models import Session

from example_project.loyalty import ledger
from tests.example.shopping import PHONE, Shopper, World, latest_token, wrong
from twofa.channels.memory import outbox
from twofa.models import AccessToken, Campaign, Challenge, Event, Participant

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "correct horse battery"


def begin(shopper: Shopper, address: str = PHONE, channel: str = "sms") -> str:
    shopper.get("/sign-up/")
    return shopper.send("/sign-up/", address=address, channel=channel)


def join(shopper: Shopper, token: str | None = None, **typed: str) -> str:
    about = {"name": "Bia Lima", "username": "bia", "password": PASSWORD} | typed
    return shopper.send("/sign-up/token/", token=token or latest_token(), **about)


@pytest.fixture
def bia(world: World, shopper: Shopper) -> Shopper:
    """Who has just signed up."""
    begin(shopper)
    join(shopper)
    return shopper


def come_back(shopper: Shopper, password: str = PASSWORD, username: str = "bia") -> str:
    shopper.get("/sign-in/")
    return shopper.send("/sign-in/password/", username=username, password=password)


def test_who_signs_up_with_a_code_is_in_with_it_and_has_points(world: World, shopper: Shopper):
    begin(shopper)
    assert shopper.path == "/sign-up/token/"
    assert "+55 •• •••••-••34" in shopper.page

    join(shopper)

    assert shopper.path == "/safety/"
    assert "Welcome" in shopper.page
    assert "Bia Lima" in shopper.page
    member = Participant.objects.get(name="Bia Lima")
    assert ledger.balances(member).available == ledger.WELCOME
    assert member.devices.get().status == "active"
    assert "this one" in shopper.page
    assert Challenge.objects.count() == 1, "the token of the registration was the first login's"


def test_wrong_token_creates_nobody_and_keeps_what_was_typed_but_for_the_password(world: World, shopper: Shopper):
    begin(shopper)

    join(shopper, wrong(latest_token()))

    assert "That is not the right token" in shopper.page
    assert 'value="Bia Lima"' in shopper.page
    assert PASSWORD not in shopper.page
    assert not Participant.objects.filter(name="Bia Lima").exists()
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"password": "12345678"}, "This password is too common."),
        ({"username": "ana"}, "Somebody has that name already."),
        ({"name": ""}, "Fill it in, please."),
    ],
)
def test_what_is_not_good_enough_is_said_and_the_token_is_kept(
    world: World, shopper: Shopper, settings: Any, django_user_model: Any, typed: dict[str, str], sentence: str
):
    settings.AUTH_PASSWORD_VALIDATORS = [
        {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    ]
    django_user_model.objects.create_user("ana")
    begin(shopper)
    token = latest_token()

    join(shopper, token, **typed)

    assert sentence in shopper.page
    assert not Participant.objects.filter(name="Bia Lima").exists()
    join(shopper, token)
    assert shopper.path == "/safety/"


def test_sign_in_asks_for_the_token_after_a_right_password_only(world: World, bia: Shopper):
    bia.send("/sign-out/")
    outbox.clear()

    come_back(bia, "wrong horse")
    assert "That name and password do not go together" in bia.page
    assert bia.page.count('aria-invalid="true"') == 2, "it is not told which of the two is wrong"
    assert len(outbox) == 0

    come_back(bia)
    assert bia.path == "/sign-in/token/"
    assert PASSWORD not in bia.page
    token = latest_token()
    assert len(outbox) == 1

    bia.send("/sign-in/token/", password=PASSWORD, token=token)
    assert bia.path == "/"
    assert "Bia Lima" in bia.page


def test_wrong_token_or_password_at_the_second_step_lets_nobody_in(world: World, bia: Shopper):
    bia.send("/sign-out/")
    come_back(bia)
    token = latest_token()

    bia.send("/sign-in/token/", password=PASSWORD, token=wrong(token))
    assert "That is not the right token" in bia.page
    bia.send("/sign-in/token/", password="wrong horse", token=token)
    assert "That is not the right password" in bia.page
    assert "Bia Lima" not in bia.get("/")

    bia.get("/sign-in/token/")
    bia.send("/sign-in/token/", password=PASSWORD, token=token)
    assert "Bia Lima" in bia.page


def test_nothing_that_opens_anything_is_in_a_session(world: World, bia: Shopper):
    token = AccessToken.objects.get()
    bia.send("/sign-out/")
    come_back(bia)
    kept = "".join(str(row.get_decoded()) for row in Session.objects.all())

    assert PASSWORD not in kept
    assert latest_token() not in kept
    assert "twofa_at_" not in kept
    assert token.prefix not in kept


def test_signing_out_ends_the_session_at_the_api_too(world: World, bia: Shopper):
    bia.send("/sign-out/")

    assert AccessToken.objects.get().revoked_at is not None
    assert bia.get("/safety/").count("Sign in") > 0
    assert bia.path.startswith("/sign-in/")


def test_member_whom_staff_signed_out_is_out(world: World, bia: Shopper, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("example_project.shop.customers._SEEN_SECONDS", 0)
    assert "Bia Lima" in bia.get("/orders/")
    AccessToken.objects.update(revoked_at=AccessToken.objects.get().created_at)

    bia.get("/orders/")

    assert bia.path == "/sign-in/"
    assert "You were signed out meanwhile" in bia.page


def test_sign_in_leads_nowhere_else(world: World, bia: Shopper):
    Campaign.objects.update(two_factor_mode="optional")
    bia.send("/sign-out/")
    bia.get("/sign-in/?next=https://evil.example/")
    bia.send("/sign-in/password/", username="bia", password=PASSWORD)

    assert bia.path == "/"
    assert Event.objects.filter(type="participant.logged_in").order_by("pk").last().data == {"proved_by": "password"}


@pytest.mark.parametrize("path", ["/sign-up/token/", "/sign-in/token/"])
def test_second_step_without_the_first_begins_at_the_first(world: World, shopper: Shopper, path: str):
    shopper.get(path)

    assert shopper.path in ("/sign-up/", "/sign-in/")
    assert shopper.status == 200


def test_another_token_is_sent_on_the_way_in(world: World, shopper: Shopper):
    Campaign.objects.update(resend_cooldown="0")
    begin(shopper)
    first = latest_token()

    shopper.send("/sign-in/resend/")

    assert "A new token is on its way" in shopper.page
    assert latest_token() != first
    join(shopper)
    assert shopper.path == "/safety/"
