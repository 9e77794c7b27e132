"""The member's phone and e-mail in the shop."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import stories
from tests.example.shopping import PHONE, Shopper, World, latest_token, wrong
from twofa.channels.memory import outbox
from twofa.models import Campaign, Device

pytestmark = pytest.mark.django_db(transaction=True)


def states() -> list[tuple[str, str, bool]]:
    return list(Device.objects.order_by("pk").values_list("channel", "status", "is_default"))


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("", "Fill it in, please."),
        ("123", "Give the number with its country code"),
        ("+55 11 3333-0034", "Give the number of a mobile phone."),
        ("x" * 300, "Fill it in, please."),
    ],
)
def test_address_that_is_none_is_said_beside_its_field_and_kept(
    world: World, ana: Shopper, address: str, sentence: str
):
    ana.get("/contacts/")

    ana.send("/contacts/", address=address)

    assert ana.page.count(sentence) == 1, "beside the field, and nowhere else"
    assert "With its country code" not in ana.page
    assert 'href="#phone"' in ana.page
    assert ana.page.count('aria-describedby="phone-wrong" aria-invalid="true"') == 1
    assert f'value="{address[:254]}"' in ana.page
    assert states() == []
    assert len(outbox) == 0


def test_country_that_is_not_served_is_said(world: World, ana: Shopper):
    Campaign.objects.update(allowed_countries=["PT"])
    ana.get("/contacts/")

    ana.send("/contacts/", address=PHONE)

    assert "The programme sends no tokens there" in ana.page
    assert states() == []


def test_form_sent_twice_adds_one_and_sends_one(world: World, ana: Shopper):
    ana.get("/contacts/")
    fields = ana.fields("/contacts/") | {"address": PHONE}

    ana.post("/contacts/", fields)
    ana.post("/contacts/", fields)
    latest_token()

    assert len(states()) == len(outbox) == 1


def test_first_message_of_a_new_member_is_in_the_language_of_the_page(world: World, ana: Shopper):
    ana.get("/contacts/")
    ana.send("/i18n/setlang/", language="es")

    ana.send("/contacts/", address=PHONE)
    latest_token()
    ana.send("/i18n/setlang/", language="pt-br")
    stories.travel(timedelta(seconds=31))
    ana.get(ana.path)
    ana.send(f"{ana.path}resend/")
    latest_token()

    assert [message.locale for message in outbox] == ["es", "pt-br"]


def test_email_is_added_by_its_own_form(world: World, ana: Shopper):
    ana.get("/contacts/")
    ana.send("/contacts/", form=1, address="ana@example.com")
    ana.type(latest_token(), "verify")

    assert states() == [("email", "active", True)]
    assert "Your token was right" in ana.page


def test_wrong_token_of_a_phone_counts_down_and_a_new_one_helps(world: World, ana: Shopper):
    ana.get("/contacts/")
    ana.send("/contacts/", address=PHONE)
    first = latest_token()
    ana.type(wrong(first), "verify")
    assert "4 more attempts" in ana.page
    assert states()[0][1] == "pending"
    stories.travel(timedelta(seconds=31))
    ana.get(ana.path)
    ana.send(f"{ana.path}resend/")

    ana.type(latest_token(), "verify")

    assert states() == [("sms", "active", True)]


def test_closed_verification_begins_again(world: World, ana: Shopper):
    ana.get("/contacts/")
    ana.send("/contacts/", address=PHONE)
    path, token = ana.path, latest_token()
    for _ in range(5):
        ana.type(wrong(token), "verify")
    assert "Too many wrong tokens" in ana.page
    assert "It waits for its token" in ana.page

    stories.travel(timedelta(seconds=31))
    ana.send(f"{path}resend/")
    ana.type(latest_token(), "verify")

    assert states()[0][1] == "active"


def test_second_one_is_allowed_by_the_first(world: World, ana: Shopper):
    world.phone()
    ana.get("/contacts/")
    ana.send("/contacts/", form=1, address="ana@example.com")
    assert "First, a token from the one you have" in ana.page
    ana.type(latest_token(), "authorize")
    assert "The change is allowed" in ana.page
    assert "Show that it is yours" in ana.page
    ana.type(latest_token(), "verify")

    assert states() == [("sms", "active", True), ("email", "active", False)]


def test_other_one_is_made_the_main_one_by_the_first(world: World, ana: Shopper):
    world.phone()
    mail = world.phone(channel="email", address="ana@example.com")
    ana.get(f"/contacts/{mail.uuid}/")
    ana.send(f"/contacts/{mail.uuid}/make-default/")
    assert "To make" in ana.page
    assert states()[1] == ("email", "active", False)

    ana.type(latest_token(), "authorize")

    assert "That is your main one now" in ana.page
    assert [default for *_, default in states()] == [False, True]


def test_removal_waits_for_a_token_and_then_happens(world: World, ana: Shopper):
    phone = world.phone()
    ana.get(f"/contacts/{phone.uuid}/")
    ana.send(f"/contacts/{phone.uuid}/remove/")
    assert "To remove" in ana.page
    assert states()[0][1] == "active"

    ana.type(latest_token(), "authorize")

    assert "It was removed" in ana.page
    assert states()[0][1] == "revoked"
    ana.get(f"/contacts/{phone.uuid}/")
    assert ana.status == 404


def test_one_that_waits_is_removed_at_once(world: World, ana: Shopper):
    ana.get("/contacts/")
    ana.send("/contacts/", address=PHONE)

    ana.send(f"{ana.path}remove/")

    assert ana.path == "/contacts/"
    assert states()[0][1] == "revoked"


def test_proven_one_is_not_added_again(world: World, ana: Shopper):
    world.phone(address="+5511999990034")
    ana.get("/contacts/")

    ana.send("/contacts/", address=PHONE)

    assert "You have added that one before" in ana.page
    assert len(outbox) == 0
