"""The page behind the link: what it says, what it does, and what it gives away."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from tests.admin.trees import Tree
from tests.factories import Shop, device, link_of, login_challenge, token_of
from tests.fulfillment import RecordingBackend
from tests.stories import confirm, deliver_due, points, resend, travel, unchanged
from twofa.channels.memory import outbox
from twofa.models import Campaign, Case, Challenge, Device, Participant, Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

PREFIX = "/api/v1"
SPOKEN = {
    "pt-br": ("pt-br", "Não fui eu"),
    "es": ("es", "No fui yo"),
    "en": ("en", "It was not me"),
}


def address(challenge: Challenge, contact: Device | None = None) -> str:
    pk, seal = link_of(challenge, contact)
    return f"{PREFIX}/not-me/{pk}/{seal}/"


@pytest.fixture
def redemption(shop: Shop) -> Redemption:
    return shop.open(description="Noise-cancelling headphones")


@pytest.fixture
def browser() -> Client:
    """One that insists on CSRF tokens, as Django's own middleware does."""
    return Client(enforce_csrf_checks=True)


def text_of(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


# --- what it says -----------------------------------------------------------------------------------------------------


def test_page_of_a_batch_says_what_its_points_come_to(shop: Shop, browser: Client):
    batch = shop.open_batch()

    said = text_of(browser.get(address(batch.challenge)))

    assert f"Amount {batch.total.normalize():f} points" in said
    assert batch.request_id not in said


def test_page_says_what_the_message_said_and_no_more(shop: Shop, redemption: Redemption, browser: Client):
    said = text_of(browser.get(address(redemption.challenge)))

    for told in (shop.campaign.name, "150 points", "Noise-cancelling headphones", shop.device.destination):
        assert told in said
    participant = shop.participant
    for untold in (participant.name, participant.external_id, shop.device.address, redemption.order_id):
        assert untold not in said
    assert token_of(redemption.challenge) not in said


def test_page_shows_the_contact_that_the_link_was_sent_to(shop: Shop, browser: Client):
    """Not the one that a later message went to: whoever reads an old mailbox learns no phone."""
    email = device(shop.participant, "email")
    redemption = shop.open(channel="email")
    link = address(redemption.challenge, email)
    travel(timedelta(seconds=31))
    resend(shop, redemption, channel="sms")

    said = text_of(browser.get(link))
    assert email.destination in said
    assert shop.device.destination not in said


@pytest.mark.parametrize("locale", SPOKEN)
def test_page_is_in_the_participant_s_language(shop: Shop, redemption: Redemption, browser: Client, locale: str):
    Participant.objects.update(locale=locale)
    language, button = SPOKEN[locale]
    response = browser.get(address(redemption.challenge), headers={"accept-language": "de"})

    assert f'<html lang="{language}">' in response.content.decode()
    assert response["Content-Language"] == language
    assert button in text_of(response)


def test_page_of_something_else_names_its_purpose(shop: Shop, browser: Client):
    said = text_of(browser.get(address(login_challenge(shop))))

    assert "a sign-in" in said
    assert "points are spent" in said
    assert "Amount" not in said


def test_storefront_s_text_is_made_safe_and_escaped(shop: Shop, browser: Client):
    redemption = shop.open(description='<script src="//evil.example"></script> call 08005551234')
    page = browser.get(address(redemption.challenge)).content.decode()

    assert "<script" not in page
    assert "evil.example" not in page
    assert "08005551234" not in page


@pytest.mark.parametrize(
    ("reach", "told"),
    [
        ("pending", "no points are spent"),
        ("approved", "it cannot be stopped here"),
        ("scheduled", "no points are spent"),
        ("cancelled", "it has ended already"),
    ],
)
def test_page_says_what_the_button_will_do(shop: Shop, redemption: Redemption, browser: Client, reach: str, told: str):
    if reach == "scheduled":
        redemption = shop.open(scheduled_for=now() + timedelta(days=1))
    if reach in ("approved", "scheduled"):
        confirm(shop, redemption, token_of(redemption.challenge))
    if reach == "cancelled":
        Challenge.objects.update(status="cancelled", seed=None, ended_at=redemption.created_at)

    assert told in text_of(browser.get(address(redemption.challenge)))


# --- what it does -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "head", "options", "put", "delete", "patch"])
def test_looking_at_it_changes_nothing(redemption: Redemption, browser: Client, verb: str):
    link = address(redemption.challenge)
    with unchanged():
        status = getattr(browser, verb)(link).status_code

    assert status == (200 if verb in ("get", "head") else 405)


def test_button_stops_it_and_comes_back_to_the_page(redemption: Redemption, browser: Client):
    link = address(redemption.challenge)
    (form,) = Tree(browser.get(link).content.decode()).forms
    pressed = browser.post(link, form.values)

    assert (pressed.status_code, pressed["Location"]) == (303, "./")
    assert points(redemption) == ("rejected", "released")
    assert Device.objects.get().is_held
    said = text_of(browser.get(link))
    assert "It is stopped" in said
    assert "Change the password" in said
    assert "<form" not in browser.get(link).content.decode()


def test_pressed_after_the_approval_it_says_that_nothing_was_stopped(
    shop: Shop, redemption: Redemption, browser: Client
):
    confirm(shop, redemption, token_of(redemption.challenge))
    link = address(redemption.challenge)
    browser.post(link)

    assert "could not be stopped here" in text_of(browser.get(link))
    assert points(redemption) == ("completed", "completed")


def test_pressed_twice_it_is_one_case_and_one_page(redemption: Redemption, browser: Client):
    link = address(redemption.challenge)
    browser.post(link)
    with unchanged():
        assert browser.post(link).status_code == 303

    assert Case.objects.count() == 1
    assert RecordingBackend.count("release") == 1


def test_it_is_done_before_the_answer_whatever_the_host_s_transactions(
    redemption: Redemption, browser: Client, settings: Any
):
    settings.DATABASES["default"]["ATOMIC_REQUESTS"] = True
    try:
        assert browser.post(address(redemption.challenge)).status_code == 303
    finally:
        settings.DATABASES["default"]["ATOMIC_REQUESTS"] = False
    assert points(redemption) == ("rejected", "released")


# --- who may ----------------------------------------------------------------------------------------------------------


def broken(link: str) -> list[str]:
    *_start, pk, seal, _end = link.split("/")
    return [
        link.replace(seal, seal[:-1]),
        link.replace(seal, seal[::-1]),
        link.replace(seal, "A" * 22),
        link.replace(seal, "%00" * 22),
        link.replace(seal, "%ff%fe"),
        link.replace(pk, str(uuid4())),
        link.replace(pk, pk.upper()),
        link.replace(pk, "none"),
        link.replace(pk, "%00"),
    ]


def test_broken_link_is_a_page_in_words_and_changes_nothing(redemption: Redemption, browser: Client):
    link = address(redemption.challenge)
    for forged in broken(link):
        for verb in ("get", "post"):
            with unchanged():
                response = getattr(browser, verb)(forged)

            assert response.status_code == 404, forged
            assert "This link is not valid any more" in text_of(response)


@pytest.mark.parametrize(
    ("asked", "language"), [("pt-BR,pt;q=0.9", "pt-br"), ("es-AR", "es"), ("de", "en"), ("", "en")]
)
def test_broken_link_is_told_in_the_browser_s_language(browser: Client, asked: str, language: str):
    response = browser.get(f"{PREFIX}/not-me/{uuid4()}/x/", headers={"accept-language": asked})

    assert f'<html lang="{language}">' in response.content.decode()


def test_seal_of_another_campaign_s_challenge_is_none(shop: Shop, redemption: Redemption, browser: Client):
    other = address(Shop().open().challenge)
    mine = address(redemption.challenge)
    mixed = "/".join([*mine.split("/")[:-2], other.split("/")[-2], ""])
    with unchanged():
        assert browser.post(mixed).status_code == 404


def test_link_in_the_mail_is_the_page(shop: Shop, browser: Client, settings: Any):
    """From the message to the button, as a person does it."""
    settings.TWOFA_PUBLIC_URL = f"https://points.example{PREFIX}/"
    email = device(shop.participant, "email")
    redemption = shop.open(channel="email")
    deliver_due()
    (message,) = outbox.to(email.address)
    (link,) = re.findall(r"https://points\.example(\S+)", message.text)
    assert f'href="https://points.example{link}"' in message.html
    browser.post(link)

    assert points(redemption) == ("rejected", "released")
    assert Case.objects.get().reported_from_id == email.pk


# --- what it gives away -----------------------------------------------------------------------------------------------


def responses(link: str, browser: Client) -> dict[str, Any]:
    gone = link.replace(link.split("/")[-2], "A" * 22)
    return {
        "page": browser.get(link),
        "gone": browser.get(gone),
        "pressed": browser.post(link),
        "put": browser.put(link),
    }


def test_address_is_neither_kept_nor_sent_on_nor_framed(redemption: Redemption, browser: Client):
    for name, response in responses(address(redemption.challenge), browser).items():
        assert response["Cache-Control"] == "no-store, private", name
        assert response["Referrer-Policy"] == "no-referrer", name
        assert response["X-Frame-Options"] == "DENY", name
        assert response["X-Robots-Tag"].startswith("noindex"), name
        assert "'unsafe" not in response["Content-Security-Policy"], name
        assert "default-src 'none'" in response["Content-Security-Policy"], name
        assert not response.cookies, name
        assert "Set-Cookie" not in response, name


def test_page_has_nothing_inline_and_loads_nothing_of_others(redemption: Redemption, browser: Client):
    page = browser.get(address(redemption.challenge)).content.decode()

    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|<img|<iframe", page)
    assert re.findall(r'(?:href|src|action)="([^"]*)"', page) == ["../../style.css"]


def test_stylesheet_is_where_the_page_looks_for_it(browser: Client):
    response = browser.get(f"{PREFIX}/not-me/style.css")

    assert (response.status_code, response["Content-Type"]) == (200, "text/css")
    assert b"prefers-color-scheme: dark" in response.content


def test_page_asks_for_no_session(redemption: Redemption, sql: Any):
    client = Client()
    client.cookies["sessionid"] = "s" * 32
    link = address(redemption.challenge)
    with sql() as statements:
        assert client.get(link).status_code == 200

    assert len(statements) > 0
    assert not [text for text in statements.executed if "session" in text.lower()]


def test_inactive_campaign_s_page_still_works(redemption: Redemption, browser: Client):
    Campaign.objects.update(is_active=False)
    assert browser.post(address(redemption.challenge)).status_code == 303
    assert points(redemption) == ("rejected", "released")
