"""Who is in the shop: sign-in, other members, other tabs, forged forms, markup in names, languages, no API."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests import factories
from tests.example.shopping import PHONE, Shopper, World, latest_token, orders
from tests.stories import unchanged
from twofa.channels.memory import outbox
from twofa.models import Campaign, Device, Participant, Redemption

pytestmark = pytest.mark.django_db(transaction=True)

MARKUP = "\"><script>alert(1)</script>'{{ 7 }}<img src=x onerror=alert(2)>"


@pytest.mark.parametrize("path", ["/orders/", "/contacts/", "/orders/0197a1c2-5a3e-7c11-8f00-2b1d3c4e5f60/"])
def test_page_without_a_visitor_asks_who_it_is_and_goes_on(world: World, shopper: Shopper, path: str):
    shopper.get(path)
    assert shopper.path == f"/sign-in/?next={path.replace('/', '%2F')}"

    shopper.send("/sign-in/", customer="summer:ana")

    assert shopper.path == path


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_sign_in_leads_nowhere_else(world: World, shopper: Shopper, elsewhere: str):
    shopper.get("/sign-in/")

    shopper.send("/sign-in/", customer="summer:ana", next=elsewhere)

    assert shopper.path == "/"


@pytest.mark.parametrize("word", ["anywhere", "admin:index", "shop:order"])
def test_word_to_go_on_to_is_an_address_and_not_the_name_of_a_view(world: World, shopper: Shopper, word: str):
    shopper.get("/sign-in/")
    fields = {**shopper.fields("/sign-in/"), "customer": "summer:ana", "next": word}

    answer = shopper.client.post("/sign-in/", fields)

    assert answer.status_code == 302
    assert answer["Location"] in (word, "/")


@pytest.mark.parametrize("device", ["x\r\nX-Evil: 1", "\u2603", "nope", "\0"])
def test_device_that_is_no_id_goes_into_no_header(world: World, ana: Shopper, device: str):
    world.phone()
    ana.get("/products/mug/")
    fields = {**ana.fields("/products/mug/order/"), "device": device}

    with unchanged():
        ana.post("/products/mug/order/", fields)

    assert ana.status == 404


@pytest.mark.parametrize("member", ["summer:carla", "winter:ana", "", "summer:ana "])
def test_nobody_becomes_a_member_who_is_not_offered(world: World, shopper: Shopper, member: str):
    factories.participant(world.summer, external_id="carla")
    shopper.get("/sign-in/")

    shopper.send("/sign-in/", customer=member)

    assert "Or be one of the demo’s customers" in shopper.page
    assert "shop_customer" not in shopper.client.session


def test_outside_of_development_nobody_signs_in_and_nobody_stays(world: World, ana: Shopper, settings: Any):
    settings.SHOP_MEMBERS = []

    assert "Password" in ana.get("/orders/")
    assert "demo’s customers" not in ana.page
    assert ana.path.startswith("/sign-in/")


def test_shop_without_a_campaign_says_so_where_people_would_sign_in(world: World, shopper: Shopper, settings: Any):
    settings.SHOP_CAMPAIGN = ""

    assert "Nobody can sign in here yet" in shopper.get("/sign-in/")
    assert shopper.get("/sign-up/").count("SHOP_API_KEY") or shopper.status == 503


def test_sign_in_gives_the_session_a_new_id_and_sign_out_keeps_staff(world: World, shopper: Shopper):
    staff = get_user_model().objects.create_superuser("boss")
    shopper.client.force_login(staff)
    before = shopper.client.session.session_key

    shopper.sign_in()
    assert shopper.client.session.session_key != before
    shopper.send("/sign-out/")

    assert "shop_customer" not in shopper.client.session
    assert shopper.client.session["_auth_user_id"] == str(staff.pk)


def test_order_of_another_member_is_not_there(world: World, ana: Shopper, shopper: Shopper):
    world.phone()
    path = ana.order("mug")
    fields = ana.fields(f"{path}confirm/")
    token = latest_token()
    shopper.sign_in("summer:bruno")
    own = {**fields, "member": "summer:bruno", "token": token}

    with unchanged():
        assert "Headphones" not in shopper.get(path)
        assert shopper.status == 404
        assert shopper.client.get(f"{path}delivery/").status_code == 404
        for step in ("confirm", "resend", "cancel"):
            shopper.get("/contacts/")
            csrf = shopper.fields("/contacts/")["csrfmiddlewaretoken"]
            shopper.post(f"{path}{step}/", {**own, "csrfmiddlewaretoken": csrf})
            assert shopper.status == 404
    assert orders() == [("pending_2fa_approval", "reserved")]


def test_phone_of_another_member_is_not_there(world: World, shopper: Shopper):
    device = world.phone()
    shopper.sign_in("summer:bruno")
    shopper.get("/contacts/")
    fields = shopper.fields("/contacts/") | {"token": "7K2M9Q", "nonce": "a" * 24}

    with unchanged():
        assert device.destination not in shopper.get(f"/contacts/{device.uuid}/")
        assert shopper.status == 404
        for step in ("verify", "authorize", "resend", "make-default", "remove"):
            shopper.post(f"/contacts/{device.uuid}/{step}/", fields)
            assert shopper.status == 404


def test_form_of_the_member_before_does_nothing(world: World, ana: Shopper):
    ana.get("/contacts/")
    fields = ana.fields("/contacts/")
    ana.sign_in("summer:bruno")
    fields["csrfmiddlewaretoken"] = (ana.get("/contacts/"), ana.fields("/contacts/")["csrfmiddlewaretoken"])[1]

    ana.post("/contacts/", fields | {"address": PHONE})

    assert "Somebody else is signed in now" in ana.page
    assert not Device.objects.exists()
    assert len(outbox) == 0


@pytest.mark.parametrize("forged", ["", "shop-1", "eyJtZW1iZXIiOiJzdW1tZXI6YW5hIn0:1abc:sig"])
def test_forged_order_is_not_placed(world: World, ana: Shopper, forged: str):
    world.phone()
    ana.get("/products/mug/")

    ana.send("/products/mug/order/", order=forged)

    assert "This page was out of date" in ana.page
    assert orders() == []


def test_order_form_of_another_product_or_member_is_not_placed(world: World, ana: Shopper):
    world.phone()
    world.phone(world.bruno)
    ana.get("/products/mug/")
    cheap = ana.fields("/products/mug/order/")["order"]
    ana.get("/products/headphones/")
    ana.send("/products/headphones/order/", order=cheap)
    assert "This page was out of date" in ana.page

    ana.sign_in("summer:bruno").get("/products/mug/")
    ana.send("/products/mug/order/", order=cheap)

    assert orders() == []


def test_order_sent_twice_from_two_tabs_or_after_going_back_is_one(world: World, ana: Shopper):
    world.phone()
    ana.get("/products/mug/")
    first_tab = ana.fields("/products/mug/order/")
    ana.get("/products/mug/")
    second_tab = ana.fields("/products/mug/order/")

    ana.post("/products/mug/order/", first_tab)
    path = ana.path
    ana.post("/products/mug/order/", second_tab)
    assert ana.path == path
    ana.post("/products/mug/order/", first_tab)

    assert ana.path == path
    assert len(orders()) == 1
    assert "your token is waited for" in ana.get("/products/mug/")


def test_order_of_before_the_language_changed_is_the_same_order(world: World, ana: Shopper):
    world.phone()
    ana.get("/products/mug/")
    fields = ana.fields("/products/mug/order/")
    ana.post("/products/mug/order/", fields)

    ana.client.cookies["django_language"] = "es"
    ana.post("/products/mug/order/", fields)

    assert len(orders()) == 1
    assert Redemption.objects.get().description == "Stoneware mug"


def test_session_that_ended_leads_through_sign_in_back_to_the_order(world: World, ana: Shopper):
    world.phone()
    path = ana.order("mug")
    token, fields = latest_token(), ana.fields(f"{path}confirm/")
    del ana.client.cookies["sessionid"]

    ana.post(f"{path}confirm/", fields | {"token": token})
    assert "You were signed out meanwhile" in ana.page
    ana.send("/sign-in/", customer="summer:ana")

    assert ana.path == path
    ana.type(token)
    assert orders() == [("completed", "completed")]


def test_form_without_its_csrf_token_does_nothing_and_leads_back(world: World, ana: Shopper):
    world.phone()
    path = ana.order("mug")
    token = latest_token()

    with unchanged():
        for step in ("confirm", "resend", "cancel"):
            ana.post(f"{path}{step}/", {"token": token, "member": "summer:ana"})
            assert ana.status == 403
            assert "This page was open for too long" in ana.page
    assert f'href="{path}cancel/"' in ana.page
    assert ana.get(f"{path}cancel/")
    assert ana.path == path


def test_pages_carry_a_policy_without_inline_and_are_not_kept(world: World, ana: Shopper):
    world.phone()
    path = ana.order("mug")
    for address in ("/", "/sign-in/", "/products/mug/", "/orders/", "/contacts/", path, f"{path}delivery/"):
        answer = ana.client.get(address)
        page = answer.content.decode()

        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page), address
        assert not re.search(r'(?:src|href)="https?://', page), address


def test_markup_in_names_stays_text(world: World, shopper: Shopper):
    Participant.objects.filter(pk=world.ana.pk).update(name=MARKUP)
    Campaign.objects.filter(pk=world.summer.pk).update(name=MARKUP[:50], unit="<b>miles")
    world.phone()
    shopper.sign_in().order("mug")
    Redemption.objects.update(description=MARKUP[:100], failure_detail=MARKUP, status="failed", points="released")

    for address in ("/", "/products/mug/", "/orders/", "/contacts/", shopper.path):
        page = shopper.get(address)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<b>miles" not in page
        assert "&lt;b&gt;miles" in page


def test_language_is_chosen_kept_and_spoken_by_the_messages(world: World, ana: Shopper):
    world.phone()
    ana.get("/products/headphones/")
    ana.send("/i18n/setlang/", language="pt-br")
    assert ana.path == "/products/headphones/"
    assert '<html lang="pt-br">' in ana.page
    assert "15.000" in ana.page

    ana.send("/products/headphones/order/")
    latest_token()

    assert Participant.objects.get(pk=world.ana.pk).locale == "pt-br"
    assert outbox[-1].locale == "pt-br"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api/v1", ""])
def test_shop_without_its_api_stays_calm(world: World, ana: Shopper, settings: Any, url: str):
    ana.get("/products/mug/")
    fields = ana.fields("/products/mug/order/")
    settings.SHOP_API_URL = url

    assert ana.get("/orders/")
    assert ana.status == 503
    assert "The points programme cannot answer now" in ana.page
    assert "Try again" in ana.page
    ana.post("/products/mug/order/", fields)
    assert ana.status in {200, 503}
    assert ana.get("/")
    assert ana.status == 200
    assert orders() == []


def test_wrong_key_is_our_trouble_and_not_the_members(world: World, ana: Shopper, settings: Any):
    settings.SHOP_API_KEY = "twofa_000000000000_wrong"

    ana.get("/orders/")

    assert "Something does not work on our side" in ana.page
    assert "wrong" not in ana.page
    assert ana.status == 503


def test_address_of_a_form_read_as_a_page_leads_to_its_page(world: World, ana: Shopper):
    world.phone()
    path = ana.order("mug")
    pages = {
        "/products/mug/order/": "/products/mug/",
        f"{path}confirm/": path,
        f"{path}resend/": path,
        "/sign-out/": "/",
    }

    for address, page in pages.items():
        ana.get(address)
        assert ana.path == page
    assert Client().put("/orders/").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/products/nothing/",
        "/orders/0197a1c2-5a3e-7c11-8f00-2b1d3c4e5f60/",
        "/contacts/0197a1c2-5a3e-7c11-8f00-2b1d3c4e5f60/",
    ],
)
def test_what_is_not_there_is_no_dead_end(world: World, ana: Shopper, path: str):
    ana.get(path)

    assert ana.status == 404
    assert 'href="/"' in ana.page


@pytest.mark.parametrize(
    ("address", "statements"), [("/", 2), ("/products/mug/", 3), ("/orders/", 2), ("/contacts/", 2), ("/sign-in/", 5)]
)
def test_page_asks_its_own_database_for_little(world: World, ana: Shopper, sql: Any, address: str, statements: int):
    """The session and the balance; everything else comes from the API."""
    ana.get(address)

    with sql() as counted:
        ana.get(address)

    assert len(counted) <= statements, str(counted)
