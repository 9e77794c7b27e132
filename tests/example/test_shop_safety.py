"""The member's safety in the shop: two-factor on and off, an authenticator app, recovery codes, sessions."""

from __future__ import annotations

import base64
import html
import re

import pytest
from django.core.cache import cache

from tests.api.phones import Phone, forget_steps
from tests.example.shopping import Shopper, World, latest_token, wrong
from tests.example.test_shop_entrance import PASSWORD, come_back
from tests.example.test_shop_entrance import bia as bia
from twofa.channels.memory import outbox
from twofa.models import AccessToken, Authenticator, Campaign, Participant, RecoveryCode

pytestmark = pytest.mark.django_db(transaction=True)

_CODE = re.compile(r"<code>([0-9A-Z]{4}(?:-[0-9A-Z]{4}){3})</code>")


def begin(shopper: Shopper, change: str) -> str:
    shopper.get("/safety/")
    return shopper.send(f"/safety/agree/{change}/ask/")


def agree(shopper: Shopper, change: str, token: str | None = None) -> str:
    begin(shopper, change)
    return shopper.send(f"/safety/agree/{change}/", token=token or latest_token())


def add_app(shopper: Shopper) -> Phone:
    agree(shopper, "authenticator_add")
    secret = re.search(r'class="secret">([A-Z2-7 ]+)<', shopper.page)
    assert secret is not None
    link = re.search(r'href="(otpauth://totp/[^"]+)"', shopper.page)
    assert link is not None
    assert f"secret={secret[1].replace(' ', '')}&" in html.unescape(link[1])
    return Phone(html.unescape(link[1]))


def confirm(shopper: Shopper, code: str) -> str:
    action = next(line for line in re.findall(r'action="(/safety/app/[^"]+)"', shopper.page))
    return shopper.send(action, token=code)


@pytest.fixture
def armed(world: World, bia: Shopper) -> tuple[Shopper, Phone, list[str]]:
    """Bia with an app, and her recovery codes."""
    phone = add_app(bia)
    confirm(bia, phone.code())
    forget_steps()
    return bia, phone, _CODE.findall(bia.page)


def test_app_is_added_with_the_present_contacts_agreement_and_shown_once(world: World, bia: Shopper):
    begin(bia, "authenticator_add")
    assert not Authenticator.objects.exists(), "nothing happens before somebody agreed"

    bia.send("/safety/agree/authenticator_add/", token=latest_token())
    picture = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', bia.page)
    assert picture is not None
    assert base64.b64decode(picture[1]).startswith((b"<svg", b"<?xml"))
    secret = re.search(r'class="secret">([A-Z2-7 ]+)<', bia.page)
    assert secret is not None

    assert secret[1] not in bia.get("/safety/agree/authenticator_add/")
    assert secret[1] not in bia.get("/safety/")


def test_right_code_makes_it_ready_and_shows_recovery_codes_once(armed):
    bia, _phone, codes = armed

    assert len(codes) == 10
    assert RecoveryCode.objects.filter(used_at=None).count() == 10
    page = bia.get("/safety/")
    assert "10 codes are left." in page
    assert not any(code in page for code in codes)
    assert "Ready. Its codes are good for signing in." in page


def test_wrong_code_of_the_app_can_be_typed_again(world: World, bia: Shopper):
    phone = add_app(bia)

    confirm(bia, phone.wrong_code())
    assert "That is not the code of your app" in bia.page
    assert Authenticator.objects.get().status == "pending"
    forget_steps()
    confirm(bia, phone.code())
    assert len(_CODE.findall(bia.page)) == 10


def test_sign_in_by_app_and_by_a_recovery_code(armed):
    bia, phone, codes = armed
    bia.get("/safety/")
    bia.send("/safety/", method="totp")
    assert "You sign in with a code of your app from now on." in bia.page
    bia.send("/sign-out/")
    outbox.clear()

    come_back(bia)
    assert "Type the code of your authenticator app" in bia.page
    assert len(outbox) == 0
    bia.send("/sign-in/token/", password=PASSWORD, token=phone.code())
    assert "Bia Lima" in bia.page

    bia.send("/sign-out/")
    come_back(bia)
    bia.send("/sign-in/token/", password=PASSWORD, token=codes[0].lower())
    assert "Bia Lima" in bia.page
    assert "9 codes are left." in bia.get("/safety/")


def test_token_is_sent_in_the_place_of_the_app(armed):
    bia, _phone, _codes = armed
    bia.get("/safety/")
    bia.send("/safety/", method="totp")
    page = begin(bia, "recovery_codes")
    assert "Valid for another" not in page, "the code of an app is another one every half minute"
    assert re.findall(r'<option value="(\w+)"', page) == ["sms"], "by what she has"
    outbox.clear()
    bia.send("/safety/agree/recovery_codes/resend/", channel="sms")
    assert "A new token is on its way" in bia.page
    bia.send("/safety/agree/recovery_codes/", token=latest_token())
    assert len(_CODE.findall(bia.page)) == 10

    bia.send("/sign-out/")
    come_back(bia)
    bia.send("/sign-in/resend/", channel="email")
    assert bia.path == "/sign-in/token/"
    assert "Type the code of your authenticator app" in bia.page
    assert "That channel cannot be used now" in bia.page
    bia.get("/sign-in/token/")
    bia.send("/sign-in/resend/", channel="sms")
    bia.send("/sign-in/token/", password=PASSWORD, token=latest_token())
    assert "Bia Lima" in bia.page


def test_off_is_offered_where_the_programme_leaves_it_to_the_member(world: World, bia: Shopper):
    page = bia.get("/safety/")
    assert 'value="none"' not in page
    assert 'value="sms" checked' in page, "that is how a token comes to who has chosen nothing"

    Campaign.objects.update(two_factor_mode="optional")
    cache.clear()
    assert 'value="none" checked' in bia.get("/safety/")


def test_two_factor_is_switched_off_by_a_token_and_on_without(world: World, bia: Shopper):
    bia.get("/safety/")
    bia.send("/safety/", method="sms")
    assert "It was changed" in bia.page
    member = Participant.objects.get(name="Bia Lima")
    assert member.two_factor_method == "sms"

    bia.send("/safety/", method="none")
    member.refresh_from_db()
    assert member.two_factor_method == "sms", "it waits for a token"
    action = next(iter(re.findall(r'action="(/contacts/[^"]+/authorize/)"', bia.page)))
    bia.send(action, token=wrong(latest_token()))
    bia.send(action, token=latest_token())

    assert bia.path == "/safety/"
    assert "Two-factor is off" in bia.page
    member.refresh_from_db()
    assert member.two_factor_method == "none"


def test_app_is_removed_and_codes_are_replaced_with_agreement(armed):
    bia, _phone, codes = armed
    Campaign.objects.update(resend_cooldown="0")

    agree(bia, "recovery_codes")
    assert not set(codes) & set(_CODE.findall(bia.page))
    assert RecoveryCode.objects.filter(used_at=None).count() == 10
    agree(bia, "authenticator_remove")

    assert "Your app was removed" in bia.page
    assert Authenticator.objects.get().status == "revoked"


def test_change_without_agreement_does_not_happen(armed):
    bia, _phone, _codes = armed
    begin(bia, "authenticator_remove")

    bia.send("/safety/agree/authenticator_remove/", token=wrong(latest_token()))

    assert "That is not the right token" in bia.page
    assert Authenticator.objects.get().status == "active"
    bia.get("/safety/agree/recovery_codes/")
    assert bia.path == "/safety/"


def test_sessions_are_listed_and_ended(world: World, bia: Shopper, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("example_project.shop.customers._SEEN_SECONDS", 0)
    other = Shopper()
    Campaign.objects.update(resend_cooldown="0")
    come_back(other)
    other.send("/sign-in/token/", password=PASSWORD, token=latest_token())
    assert AccessToken.objects.filter(revoked_at=None).count() == 2

    elsewhere = AccessToken.objects.order_by("pk").last()
    assert elsewhere is not None
    bia.get("/safety/")
    bia.send(f"/safety/sessions/{elsewhere.prefix}/end/")
    assert "It was signed out" in bia.page
    other.get("/orders/")
    assert other.path == "/sign-in/"

    bia.send("/safety/sessions/end/")
    assert bia.path == "/sign-in/"
    assert not AccessToken.objects.filter(revoked_at=None).exists()


def test_demo_customer_without_a_password_sees_the_page_too(world: World, ana: Shopper):
    assert "Nothing yet that a token could go to." in ana.get("/safety/")
    world.phone()
    assert "Nowhere with a password." in ana.get("/safety/")


@pytest.mark.parametrize("change", ["nonsense", "redemption"])
def test_change_that_there_is_not(world: World, ana: Shopper, change: str):
    ana.get("/safety/")
    fields = ana.fields("/safety/agree/recovery_codes/ask/")
    ana.post(f"/safety/agree/{change}/ask/", fields)

    assert ana.status == 404


def test_member_with_no_factor_makes_codes_at_once(world: World, ana: Shopper):
    begin(ana, "recovery_codes")
    ana.send("/safety/agree/recovery_codes/")

    assert len(_CODE.findall(ana.page)) == 10
