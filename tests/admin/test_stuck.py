from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.admin.conftest import World, page
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.statements import record_statements
from tests.stories import confirm, travel
from twofa.exceptions import TemporaryFailure
from twofa.flows import stuck
from twofa.models import Case, Delivery

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def world(world: World) -> World:
    """Without its case, which is on this page as well."""
    Case.objects.all().delete()
    return world


def titles(response: Any) -> list[str]:
    return [section.title for section in response.context["sections"]]


def link(response: Any, text: str) -> str:
    cells = [cell for section in response.context["sections"] for row in section.rows for cell in row]
    return next(cell.url for cell in cells if str(cell.text) == text)


def test_nothing_stuck_is_said(boss: Client):
    response = boss.get(page("redemption", "stuck"))

    assert response.status_code == 200
    assert "Nothing is stuck." in response.content.decode()
    assert titles(response) == []
    assert len(response.context["nothing_in"]) == 9


def test_parked_completion_leads_to_where_it_is_decided(world: World, boss: Client, settings: Any):
    settings.TWOFA_COMPLETION_MAX_TRIES = 1
    RecordingBackend.failures["complete"] = iter([TemporaryFailure()])
    confirm(world.shop, world.redemption, token_of(world.challenge))

    response = boss.get(page("redemption", "stuck"))

    assert titles(response)[0] == "Completions that wait for staff: 1"
    decide = boss.get(link(response, "Try again, or fail it")).content.decode()
    assert page("redemption", "retry-completion", world.redemption.pk) in decide
    assert page("redemption", "fail", world.redemption.pk) in decide


def test_undelivered_message_leads_to_a_new_token(world: World, boss: Client, staff: Callable[..., Client]):
    Delivery.objects.update(status="failed", reason="timeout")

    response = boss.get(page("redemption", "stuck"))
    looker = staff("view_redemption", "view_delivery").get(page("redemption", "stuck"))

    assert "the provider did not answer in time" in response.content.decode()
    assert link(response, "Send a new token") == page("redemption", "resend", world.redemption.pk)
    assert link(looker, "Its redemption") == page("redemption", "change", world.redemption.pk)
    assert "Send a new token" not in looker.content.decode()


def test_every_link_of_the_page_can_be_opened_by_who_sees_it(world: World, staff: Callable[..., Client]):
    world.shop.open()
    travel(timedelta(minutes=45))
    for client in (staff("view_redemption", "view_delivery", name="a"), staff(superuser=True, name="b")):
        response = client.get(page("redemption", "stuck"))
        urls = {
            cell.url for section in response.context["sections"] for row in section.rows for cell in row if cell.url
        }
        assert urls
        assert {client.get(url).status_code for url in urls} == {200}


@pytest.mark.parametrize("permissions", [(), ("view_redemption",), ("view_delivery",), ("view_campaign",)])
def test_page_opens_for_those_who_may_look_at_both(permissions: tuple[str, ...], staff: Callable[..., Client]):
    client = staff(*permissions)

    assert client.get(page("redemption", "stuck")).status_code == 403
    for model in ("redemption", "delivery"):
        assert page("redemption", "stuck") not in client.get(page(model, "changelist")).content.decode()


def test_it_is_linked_from_the_app_and_from_the_lists(world: World, staff: Callable[..., Client]):
    client = staff("view_redemption", "view_delivery", "view_challenge")

    places = [reverse("admin:app_list", args=["twofa"])]
    places += [page(model, "changelist") for model in ("redemption", "delivery", "challenge")]
    assert [place for place in places if page("redemption", "stuck") not in client.get(place).content.decode()] == []


def test_more_than_are_shown_is_said(world: World, boss: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stuck, "MOST", 1)
    monkeypatch.setattr("twofa.admin.stuck.MOST", 1)
    for _time in range(2):
        world.shop.open()
    travel(timedelta(minutes=5))

    response = boss.get(page("redemption", "stuck"))

    assert "Messages that no worker takes: 1+" in titles(response)
    assert [len(section.rows) for section in response.context["sections"]] == [1]


def test_page_costs_the_same_however_much_is_stuck(world: World, boss: Client):
    def cost() -> int:
        with record_statements() as statements:
            assert boss.get(page("redemption", "stuck")).status_code == 200
        return len(statements)

    assert cost() == 12, "session, user, clock and nine lists"
    for number in range(3):
        factories.Shop(name=f"C {number}").open()
    travel(timedelta(minutes=45))
    assert cost() == 12


def test_texts_of_others_are_escaped(world: World, boss: Client):
    type(world.redemption).objects.update(order_id=HOSTILE)
    type(world.shop.campaign).objects.update(name=HOSTILE)
    type(world.shop.participant).objects.filter(pk=world.shop.participant.pk).update(external_id=HOSTILE)
    Delivery.objects.update(status="failed", reason=HOSTILE, destination=HOSTILE)
    shown = boss.get(page("redemption", "stuck")).content.decode()
    assert HOSTILE not in shown
    assert "&lt;script&gt;" in shown

    travel(timedelta(minutes=45))
    shown = boss.get(page("redemption", "stuck")).content.decode()
    assert HOSTILE not in shown
    assert "&lt;script&gt;" in shown
