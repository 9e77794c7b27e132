"""Two people: who orders and who approves, each in a browser of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from example_project.loyalty import ledger
from tests.example.shopping import Shopper, World, latest_token, orders, wrong
from tests.stories import deliver_due, travel
from twofa.channels.memory import outbox
from twofa.models import Challenge, Delivery, Device, Participant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def marta(world: World) -> Shopper:
    """The director's browser."""
    world.found_company()
    return Shopper().sign_in("company:marta")


@pytest.fixture
def lucas(marta: Shopper) -> Shopper:
    """The buyer's."""
    return Shopper().sign_in("company:lucas")


def test_buyer_is_told_who_is_asked_and_where_the_token_went(lucas: Shopper):
    assert "From 5,000\xa0points a day on somebody else approves" in lucas.get("/products/headphones/")

    lucas.order("headphones")
    deliver_due()
    lucas.get(lucas.path)

    assert "Marta Reis is asked to approve" in lucas.page
    assert "By E-mail, to" in lucas.page
    assert Challenge.objects.get().destination in lucas.page
    assert outbox[-1].recipient == Device.objects.get(channel="email").address
    assert "Lucas Braga" in outbox[-1].text
    assert outbox[-1].recipient not in lucas.page
    assert '<select id="channel"' not in lucas.page, "whoever asks does not choose another one's phone"


def test_director_sees_who_asks_what_and_how_much_and_types_the_token(lucas: Shopper, marta: Shopper):
    path = lucas.order("headphones")
    assert "Nothing waits for you" in lucas.get("/approvals/")

    marta.get("/approvals/")
    for text in ("Headphones", "15,000\xa0points", "Lucas Braga asks", path):
        assert text in marta.page
    marta.get(path)
    assert "Waits for your approval" in marta.page
    assert "Lucas Braga asks for it" in marta.page
    marta.type(latest_token())

    assert "You approved it" in marta.page
    assert "It is yours" in lucas.get(path)
    assert orders() == [("completed", "completed")]
    assert ledger.balances(Participant.objects.get(external_id="lucas")).available == 185000
    assert "Nothing waits for you" in marta.get("/approvals/")


def test_page_of_the_buyer_has_no_field_for_a_token_that_is_to_be_told_to_nobody(lucas: Shopper):
    path = lucas.order("headphones")

    assert "gives it to nobody" in lucas.page
    assert 'name="token"' not in lucas.page
    assert f'action="{path}confirm/"' not in lucas.page
    assert "data-until-changed" in lucas.page


def test_page_of_the_buyer_looks_again_until_something_else_is_to_be_done(lucas: Shopper):
    path = lucas.order("headphones")
    assert f'{path}delivery/?was=confirm_token" data-until-changed' in lucas.page
    assert "data-changed" not in lucas.get(f"{path}delivery/?was=confirm_token")
    deliver_due()
    travel(timedelta(minutes=6))

    assert "data-changed" in lucas.get(f"{path}delivery/?was=confirm_token")
    assert f'{path}delivery/?was=resend_token" data-until-changed' in lucas.get(path)
    assert "data-changed" not in lucas.get(f"{path}delivery/?was=resend_token")
    lucas.get(path)
    lucas.send(f"{path}cancel/")
    assert "data-changed" in lucas.get(f"{path}delivery/?was=resend_token")


def test_page_of_the_buyer_says_when_a_new_token_is_needed_and_by_whom(lucas: Shopper):
    path = lucas.order("headphones")
    Delivery.objects.update(status="failed", reason="timeout")

    lucas.get(path)

    assert "Marta Reis needs a new token" in lucas.page
    assert 'name="token"' not in lucas.page


def test_product_names_no_phone_of_the_buyer_where_its_price_alone_asks_somebody_else(lucas: Shopper):
    asks_somebody, asks_lucas = lucas.get("/products/headphones/"), lucas.get("/products/mug/")

    assert "A token goes to you" not in asks_somebody
    assert "A token goes to you by SMS" in asks_lucas
    for page in (asks_somebody, asks_lucas):
        assert "From 5,000\xa0points a day on somebody else approves" in page


def test_director_who_does_not_approve_gives_the_points_back(lucas: Shopper, marta: Shopper):
    path = lucas.order("headphones")
    marta.get(path)

    marta.send(f"{path}cancel/")

    assert "The order is cancelled" in marta.page
    assert "The order is cancelled" in lucas.get(path)
    assert orders() == [("cancelled", "released")]


def test_order_above_the_limit_is_refused_in_words_and_asks_nobody(lucas: Shopper):
    lucas.get("/products/bicycle/")

    lucas.send("/products/bicycle/order/")

    assert "Nobody can approve this order" in lucas.page
    assert "above what the person who approves for you may decide" in lucas.page
    assert lucas.path == "/products/bicycle/"
    assert (orders(), len(outbox)) == ([], 0)


def test_small_order_is_confirmed_by_whoever_orders(lucas: Shopper):
    lucas.order("mug")

    assert "Type the token we sent you" in lucas.page
    assert "is asked to approve" not in lucas.page


def test_director_without_a_way_to_reach_them_is_named_as_the_reason(lucas: Shopper):
    Device.objects.filter(channel="email").update(status="revoked", confirmed=False, is_default=False)

    lucas.order("headphones")

    assert "no token reaches them" in lucas.page
    assert (orders(), len(outbox)) == ([], 0)


def test_order_that_somebody_else_approves_is_not_there_for_a_third(lucas: Shopper, world: World, settings: Any):
    path = lucas.order("headphones")
    # Of another campaign, and called like the director.
    Participant.objects.filter(pk=world.bruno.pk).update(external_id="marta")
    settings.SHOP_MEMBERS = ["summer:marta"]
    namesake = Shopper().sign_in("summer:marta")

    assert "Headphones" not in namesake.get(path)
    assert namesake.status == 404
    assert "Nothing waits for you" in namesake.get("/approvals/")


def test_wrong_tokens_of_the_director_count_down(lucas: Shopper, marta: Shopper):
    path = lucas.order("headphones")
    marta.get(path)

    marta.type(wrong(latest_token()))

    assert "You have 4 more attempts." in marta.page
    assert orders() == [("pending_2fa_approval", "reserved")]


def test_only_members_of_such_a_campaign_see_the_way_to_approvals(lucas: Shopper, world: World):
    assert 'href="/approvals/"' in lucas.get("/")
    assert 'href="/approvals/"' not in Shopper().sign_in().get("/")


def test_phone_that_was_chosen_has_no_part_in_an_order_that_the_days_sum_gives_to_another(lucas: Shopper):
    lucas.order("lamp")
    lucas.get("/products/mug/")
    phone = Device.objects.get(participant__external_id="lucas", channel="sms")

    lucas.send("/products/mug/order/", device=str(phone.uuid))

    assert "Marta Reis is asked to approve" in lucas.page
