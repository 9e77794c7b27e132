"""What is masked is shown to who may, once, with a reason and a trace; and nowhere else does it go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import Client

from tests.admin.conftest import World, page
from tests.stories import STAFF, unchanged
from twofa.flows import disclosures
from twofa.models import Event

REASON = {"reason": "The participant says that no message comes."}
MAY = ("view_device", "view_participant", "view_contacts")
NUMBER = "39053344705"


@pytest.fixture
def shown(world: World) -> dict[str, tuple[Any, str, str, str]]:
    """By the model: the row, its page, the text that it hides, and the event of showing it."""
    participant = world.shop.participant
    participant.document_number = NUMBER
    participant.save()
    return {
        "device": (world.shop.device, "show-contact", world.shop.device.address, "device.contact_revealed"),
        "participant": (participant, "show-document-number", NUMBER, "participant.document_revealed"),
    }


@pytest.mark.parametrize("model", ["device", "participant"])
def test_text_is_shown_in_one_answer_and_kept_nowhere(
    model: str, shown: dict[str, Any], staff: Callable[..., Client], caplog: pytest.LogCaptureFixture
):
    row, name, text, type_ = shown[model]
    client = staff(*MAY)

    asked = client.get(page(model, name, row.pk))
    answer = client.post(page(model, name, row.pk), REASON)

    assert text not in asked.content.decode()
    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    event = Event.objects.get(type=type_)
    assert (event.actor, event.data["reason"]) == ("maria", REASON["reason"])
    assert event.correlation_id
    assert text not in client.get(page(model, "change", row.pk)).content.decode()
    kept = [*LogEntry.objects.values_list("change_message", flat=True)]
    kept += [str(data) for data in Event.objects.values_list("data", flat=True)]
    kept += [str(session.get_decoded()) for session in Session.objects.all()]
    kept += [morsel.value for response in (asked, answer) for morsel in response.cookies.values()]
    assert not any(text in entry for entry in [*kept, caplog.text])


@pytest.mark.parametrize("model", ["device", "participant"])
@pytest.mark.parametrize("lacking", ["view_{}", "view_contacts"])
def test_without_the_permission_nothing_is_shown(
    model: str, lacking: str, shown: dict[str, Any], staff: Callable[..., Client]
):
    row, name, text, _type = shown[model]
    client = staff(*(set(MAY) - {lacking.format(model)}), "reset_device")

    with unchanged():
        answers = [client.get(page(model, name, row.pk)), client.post(page(model, name, row.pk), REASON)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert not any(text in answer.content.decode() for answer in answers)


@pytest.mark.parametrize("model", ["device", "participant"])
def test_without_a_reason_nothing_is_shown(model: str, shown: dict[str, Any], boss: Client):
    row, name, text, _type = shown[model]

    with unchanged():
        answer = boss.post(page(model, name, row.pk), {"reason": " "})

    assert answer.status_code == 200
    assert text not in answer.content.decode()


def test_form_sent_from_another_site_shows_nothing(shown: dict[str, Any], boss: Client):
    row, name, text, _type = shown["device"]
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = boss.cookies

    answer = strict.post(page("device", name, row.pk), REASON)

    assert answer.status_code == 403
    assert text not in answer.content.decode()


def test_action_is_offered_to_who_may_alone(shown: dict[str, Any], staff: Callable[..., Client]):
    looks, may = staff("view_device", "view_participant"), staff(*MAY, name="ana")
    for model, (row, name, _text, _type) in shown.items():
        link = page(model, name, row.pk)
        assert link not in looks.get(page(model, "change", row.pk)).content.decode()
        assert link in may.get(page(model, "change", row.pk)).content.decode()


@pytest.mark.django_db(transaction=True)
def test_event_is_committed_before_the_text_is_given(world: World):
    """Inside of a caller's transaction it would not be: the text seen, and the trace rolled back."""
    assert not connection.in_atomic_block
    assert disclosures.show_contact(world.shop.device, actor=STAFF, reason="x") == world.shop.device.address
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        disclosures.show_contact(world.shop.device, actor=STAFF, reason="x")
    assert Event.objects.filter(type="device.contact_revealed").count() == 1


def test_what_a_member_may_not_open_is_not_shown_within_other_pages(world: World, staff: Callable[..., Client]):
    participant, redemption = world.shop.participant, world.redemption
    reviewer = staff("view_participant", "view_device").get(page("participant", "change", participant.pk))
    support = staff("view_participant", "view_redemption", name="sam").get(
        page("participant", "change", participant.pk)
    )

    assert redemption.order_id not in reviewer.content.decode()
    assert "Token issued" not in reviewer.content.decode()
    assert world.shop.device.destination in reviewer.content.decode()
    assert redemption.order_id in support.content.decode()
    assert world.shop.device.destination not in support.content.decode().partition("Latest events")[0]


def test_keys_are_not_listed_for_who_may_not_see_them(world: World, staff: Callable[..., Client]):
    answer = staff("view_storefront").get(page("storefront", "change", world.shop.storefront.pk))

    assert answer.status_code == 200
    assert world.key.prefix not in answer.content.decode()
