"""The shop over its live API: the story of an order, and everything that can come between."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from example_project.loyalty import ledger
from tests import factories, stories
from tests.example.shopping import PHONE, Shopper, World, latest_token, orders, wrong
from twofa.channels.memory import outbox
from twofa.flows.history import Actor
from twofa.models import Campaign, Device, Participant, Redemption

pytestmark = pytest.mark.django_db(transaction=True)


def balance(member: Participant) -> Decimal:
    return ledger.balances(member).available


def add_phone(ana: Shopper) -> str:
    ana.get("/contacts/")
    ana.send("/contacts/", address=PHONE)
    return latest_token()


def test_first_order_leads_through_the_phone_and_back_to_what_was_wanted(world: World, ana: Shopper):
    assert ana.order() == "/contacts/"
    assert "First we need a way to reach you" in ana.page
    ana.send("/contacts/", address=PHONE)
    assert "+55 •• •••••-••34" in ana.page
    assert "99999" not in ana.page
    ana.type(latest_token(), "verify")
    assert ana.path == "/products/headphones/"
    assert Device.objects.get().status == "active"

    ana.send("/products/headphones/order/")
    assert re.fullmatch(r"/orders/[0-9a-f-]{36}/", ana.path)
    assert "Type the token we sent you" in ana.page
    token = latest_token()
    ana.type(f"{token[:3].lower()} - {token[3:]}")

    assert "It is yours" in ana.page
    assert orders() == [("completed", "completed")]
    assert balance(world.ana) == Decimal("35000.00")


def test_campaign_without_two_factor_completes_at_once(world: World, shopper: Shopper):
    shopper.sign_in("everyday:ana").order("kettle")

    assert "none was needed" in shopper.page
    assert orders() == [("completed", "completed")]
    assert len(outbox) == 0


def test_wrong_tokens_count_down_and_close_the_order(world: World, ana: Shopper):
    world.phone()
    ana.order()
    bad = wrong(latest_token())

    said = []
    for _ in range(4):
        ana.type(bad)
        said.append(re.search(r"You have [^.]*\.", ana.page)[0])
    ana.type(bad)

    assert said[0] == "You have 4 more attempts."
    assert said[-1] == "You have 1 more attempt."
    assert "Rejected, to keep your points safe" in ana.page
    assert orders() == [("rejected", "released")]
    assert balance(world.ana) == Decimal("50000.00")


def test_reloading_after_a_wrong_token_costs_nothing(world: World, ana: Shopper):
    world.phone()
    ana.order()
    ana.type(wrong(latest_token()))
    assert 'role="alert"' in ana.page

    ana.get(ana.path)

    assert 'role="alert"' not in ana.page
    assert "4 attempts left." in ana.page


def test_token_form_sent_twice_is_one_attempt(world: World, ana: Shopper):
    world.phone()
    path = ana.order()
    action = f"{path}confirm/"
    sent = ana.fields(action) | {"token": wrong(latest_token())}

    ana.post(action, sent)
    ana.post(action, sent)

    assert "4 attempts left." in ana.get(path)


def test_another_token_in_a_form_of_before_is_another_attempt(world: World, ana: Shopper):
    world.phone()
    path = ana.order()
    token, fields = latest_token(), ana.fields(f"{path}confirm/")

    ana.post(f"{path}confirm/", fields | {"token": wrong(token)})
    ana.post(f"{path}confirm/", fields | {"token": token})

    assert orders() == [("completed", "completed")]


@pytest.mark.parametrize("typed", ["", "x", "12345", "7" * 65, "ünïcö"])
def test_what_is_no_token_costs_nothing(world: World, ana: Shopper, typed: str):
    world.phone()
    ana.order()

    ana.type(typed)

    assert "That does not look like the token" in ana.page
    assert 'aria-invalid="true"' in ana.page
    assert "5 attempts left." in ana.page


def test_old_token_is_called_old(world: World, ana: Shopper):
    world.phone()
    ana.order()
    first = latest_token()
    stories.travel(timedelta(seconds=31))
    ana.get(ana.path)
    ana.send(f"{ana.path}resend/")
    assert "A new token is on its way" in ana.page
    assert latest_token() != first

    ana.type(first)

    assert "That token was replaced by a newer one" in ana.page


def test_resend_before_the_pause_says_how_long_and_sends_nothing(world: World, ana: Shopper):
    world.phone()
    ana.order()
    latest_token()

    ana.send(f"{ana.path}resend/")

    assert "The last message was sent a moment ago" in ana.page
    assert re.search(r"Wait \d+ seconds, then try again\.", ana.page)
    assert len(outbox) == 1


@pytest.mark.parametrize("language", ["en", "pt-br", "es"])
def test_times_that_run_down_are_written_as_the_script_goes_on_with_them(world: World, ana: Shopper, language: str):
    world.phone()
    ana.order()
    latest_token()
    ana.get(ana.path)

    ana.send("/i18n/setlang/", language=language)

    assert re.findall(r'<span class="ticking">([^<]*):\d\d</span>', ana.page) == ["4", "0"]
    times = re.findall(r'<time datetime="([^"]+)"[^>]*>([^<]*)</time>', ana.page)
    assert times
    for at, shown in times:
        is_today = timezone.localdate(datetime.fromisoformat(at)) == timezone.localdate()
        assert ("/" in shown) != is_today, "the script leaves out the date of today as well"


def test_resend_form_sent_twice_asks_once(world: World, ana: Shopper):
    world.phone()
    path = ana.order()
    latest_token()
    stories.travel(timedelta(seconds=31))
    ana.get(path)
    fields = ana.fields(f"{path}resend/")

    ana.post(f"{path}resend/", fields)
    ana.post(f"{path}resend/", fields)
    assert "A new token is on its way" in ana.page, "the second half of a double click is no complaint"
    latest_token()

    assert len(outbox) == 2


def test_another_channel_can_be_chosen(world: World, ana: Shopper):
    world.phone()
    world.phone(channel="email", address="ana@example.com")
    ana.order()
    latest_token()
    stories.travel(timedelta(seconds=31))
    ana.get(ana.path)
    assert '<option value="email">' in ana.page

    ana.send(f"{ana.path}resend/", channel="email")
    ana.type(latest_token())

    assert [message.recipient for message in outbox][-1] == "ana@example.com"
    assert orders() == [("completed", "completed")]


def test_device_of_the_order_can_be_chosen(world: World, ana: Shopper):
    world.phone()
    mail = world.phone(channel="email", address="ana@example.com")
    ana.get("/products/lamp/")

    ana.send("/products/lamp/order/", device=str(mail.uuid))
    latest_token()

    assert [message.recipient for message in outbox] == ["ana@example.com"]


def test_no_resends_left_still_offers_the_way_out(world: World, ana: Shopper):
    Campaign.objects.update(max_resends=0)
    world.phone()
    ana.order()
    latest_token()
    assert f"{ana.path}resend/" not in ana.page

    stories.travel(timedelta(minutes=6))
    ana.get(ana.path)

    assert "No more tokens for this order" in ana.page
    ana.send(f"{ana.path}cancel/")
    assert orders() == [("cancelled", "released")]


def test_expired_token_leads_to_a_new_one(world: World, ana: Shopper):
    world.phone()
    ana.order()
    old = latest_token()
    page_of_before = ana.fields(f"{ana.path}confirm/")
    path = ana.path
    stories.travel(timedelta(minutes=6))

    ana.post(f"{path}confirm/", page_of_before | {"token": old})
    assert "That token has expired" in ana.page
    assert "You need a new token" in ana.page
    assert 'href="#token"' not in ana.page, "there is no field to go to"
    ana.send(f"{path}resend/")
    ana.type(latest_token())

    assert orders() == [("completed", "completed")]


def test_order_past_its_time_says_so(world: World, ana: Shopper):
    world.phone()
    ana.order()
    latest_token()
    stories.travel(timedelta(minutes=31))

    ana.get(ana.path)

    assert "The time for this order ran out" in ana.page
    assert "Begin again" in ana.page


def test_cancelling_gives_the_points_back_and_may_be_repeated(world: World, ana: Shopper):
    world.phone()
    path = ana.order()
    fields = ana.fields(f"{path}cancel/")

    ana.post(f"{path}cancel/", fields)
    ana.post(f"{path}cancel/", fields)

    assert "The order is cancelled" in ana.page
    assert balance(world.ana) == Decimal("50000.00")


def test_more_than_the_balance_is_not_offered_and_refused_calmly(world: World, shopper: Shopper):
    world.phone(world.bruno)
    shopper.sign_in("summer:bruno")
    shopper.get("/products/mug/")
    form = shopper.fields("/products/mug/order/")
    ledger.reserve(world.bruno, Decimal("500.00"), reference="elsewhere")

    shopper.post("/products/mug/order/", form)

    assert "You do not have that many points." in shopper.page
    assert orders() == []
    assert len(outbox) == 0
    assert "You lack" in shopper.page
    assert "/order/" not in shopper.page


def test_too_many_open_orders_lead_to_the_list(world: World, ana: Shopper):
    Campaign.objects.update(max_open_challenges=1)
    world.phone()
    ana.order("mug")

    ana.order("lamp")

    assert "Several of your orders wait for a token" in ana.page
    assert len(orders()) == 1


def test_budget_of_messages_is_told_with_its_wait(world: World, ana: Shopper):
    Campaign.objects.update(sends_per_participant_per_day=1)
    world.phone()
    ana.order("mug")
    latest_token()

    ana.order("lamp")

    assert "Too many messages were sent to you today" in ana.page
    assert re.search(r"Wait \d+ hours", ana.page)


def test_budget_of_wrong_tokens_is_told(world: World, ana: Shopper):
    Campaign.objects.update(failed_attempts_per_day=1)
    world.phone()
    ana.order("mug")
    ana.type(wrong(latest_token()))

    ana.type(latest_token())

    assert "Too many wrong tokens today" in ana.page
    assert orders() == [("pending_2fa_approval", "reserved")]


def test_campaign_that_was_closed_is_told(world: World, ana: Shopper):
    world.phone()
    ana.get("/products/mug/")
    Campaign.objects.update(is_active=False)

    ana.send("/products/mug/order/")

    assert "This membership cannot be used at the moment" in ana.page
    assert orders() == []


def test_history_names_the_states_in_words(world: World, ana: Shopper):
    assert "You have ordered nothing yet." in ana.get("/orders/")
    world.phone()
    ana.order("mug")
    ana.send(f"{ana.path}cancel/")
    ana.order("lamp")
    for number in range(25):
        factories.Shop.open(shop_of(world), participant="ana", order_id=f"B-{number}", amount=Decimal("1.00"))
        Redemption.objects.filter(order_id=f"B-{number}").update(status="failed", points="released")

    ana.get("/orders/")
    assert "Failed" in ana.page
    older = re.search(r'href="(\?cursor=[^"]+)">Older', ana.page)[1]
    ana.get(f"/orders/{older}")

    assert "Cancelled" in ana.page
    assert "Waits for your token" in ana.page
    assert ">Newer<" in ana.page


def shop_of(world: World) -> Any:
    Campaign.objects.update(max_open_challenges=100)
    shop = factories.Shop.__new__(factories.Shop)
    shop.campaign, shop.storefront, shop.participant = world.summer, world.storefront, world.ana
    shop.actor = Actor.storefront(world.storefront)
    return shop


def test_no_token_is_in_log_session_or_address(world: World, ana: Shopper, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    world.phone()
    ana.order()
    token = latest_token()
    bad = wrong(token)
    ana.type(bad)
    kept = dict(ana.client.session)
    ana.type(token)

    assert orders() == [("completed", "completed")]
    for secret in (token, bad, world.key):
        assert secret not in caplog.text
        assert secret not in repr(kept) + repr(dict(ana.client.session))
        assert secret not in ana.page + ana.path


def test_correlation_id_of_the_page_is_that_of_the_redemption(world: World, ana: Shopper):
    world.phone()
    ana.get("/products/mug/")
    fields = ana.fields("/products/mug/order/")

    ana.client.post("/products/mug/order/", fields, headers={"X-Correlation-Id": "page-7"})

    assert Redemption.objects.get().correlation_id == "page-7"
