"""“It was not me”: the link in the message on the phone page, and what the shop says afterwards."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import path

from example_project import pages, urls
from tests.example.blocks import ROOT
from tests.example.shopping import Shopper, World, latest_token, orders
from twofa.channels import Message
from twofa.channels.file import FileChannel
from twofa.channels.memory import outbox
from twofa.models import Case, Device

# As in development.
urlpatterns = [path("phone/", pages.show_phone, name="phone"), *urls.urlpatterns]
LINK = re.compile(r"http://\S+/not-me/\S+")


@pytest.fixture
def reported(world: World, ana: Shopper, settings: Any, live_server: Any) -> str:
    """The path of Ana's order, whose token she said she had not asked for."""
    settings.TWOFA_PUBLIC_URL = f"{live_server.url}/api/v1"
    world.phone(channel="email", address="ana@example.com")
    order = ana.order("mug")
    latest_token()
    found = LINK.search(outbox[-1].text)
    assert found is not None
    link = found[0].removeprefix(live_server.url)
    stranger = Client(enforce_csrf_checks=True)
    assert "Was this not you?" in stranger.get(link).content.decode()
    assert orders() == [("pending_2fa_approval", "reserved")], "looking changes nothing"
    assert stranger.post(link).status_code == 303
    return order


@pytest.mark.django_db(transaction=True)
def test_order_that_was_not_asked_for_says_so_and_not_that_a_token_was_wrong(reported: str, ana: Shopper):
    ana.get(reported)

    assert "said that they had not asked for it" in ana.page
    assert "wrong too often" not in ana.page
    assert orders() == [("rejected", "released")]
    assert Case.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_contact_that_is_held_says_why_and_offers_nothing_that_is_refused(reported: str, ana: Shopper):
    assert "Stopped" in ana.get("/contacts/")

    device = Device.objects.get()
    ana.get(f"/contacts/{device.uuid}/")

    assert "reported as not asked for" in ana.page
    assert "Remove it" not in ana.page
    assert 'href="/contacts/"' in ana.page


@pytest.mark.django_db(transaction=True)
def test_next_order_leads_to_the_reason_and_not_to_a_form_that_cannot_help(reported: str, ana: Shopper):
    ana.order("plant")

    assert ana.path == "/contacts/"
    assert "A contact of yours is stopped" in ana.page
    assert "First we need a way to reach you" not in ana.page
    assert orders() == [("rejected", "released")]


@pytest.mark.django_db
def test_link_in_a_message_of_the_phone_page_is_one_and_markup_is_none(settings: Any, tmp_path: Path):
    settings.ROOT_URLCONF = __name__
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [ROOT / "example_project" / "templates"]}]
    settings.PHONE_DIRECTORY = tmp_path
    link = "http://127.0.0.1:8000/api/v1/not-me/0197a1c2-5a3e-7c11-8f00-2b1d3c4e5f60/c2VhbA/"
    text = f"<b>Headphones</b>\nIf it was not you, stop it here: {link}"
    FileChannel(tmp_path / "email").send(Message(recipient="ana@example.com", text=text))

    page = Client().get("/phone/").content.decode()

    assert f'<a href="{link}"' in page
    assert "<b>Headphones" not in page
