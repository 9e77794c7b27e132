from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from tests.admin.conftest import World, page
from tests.batches import approve, lines, status
from tests.fulfillment import RecordingBackend
from tests.statements import record_statements
from tests.stories import tamper, travel
from twofa.exceptions import RedemptionRefused, TemporaryFailure
from twofa.flows import settlements
from twofa.models import Event, RedemptionBatch

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "<script>alert('x')</script>"
SUPPORT = ("view_redemptionbatch", "view_redemption", "view_challenge", "cancel_redemption", "resend_token")


@pytest.fixture
def batch(world: World) -> RedemptionBatch:
    return world.shop.open_batch()


def shown(client: Client, row: Any, model: str = "redemptionbatch") -> str:
    return client.get(page(model, "change", row.pk)).content.decode()


def sections(client: Client, row: Any) -> dict[str, list[list[str]]]:
    context = client.get(page("redemptionbatch", "change", row.pk)).context
    return {str(part.title): [[str(cell.text) for cell in line] for line in part.rows] for part in context["sections"]}


def test_page_shows_each_line_with_its_outcome(world: World, batch: RedemptionBatch, boss: Client):
    RecordingBackend.failures["complete"] = iter([None, RedemptionRefused("no_stock"), TemporaryFailure()])
    approve(world.shop, batch)
    rows = sections(boss, batch)["Lines"]
    assert [row[0] for row in rows] == [line.order_id for line in batch.lines]
    assert [row[3] for row in rows] == ["completed", "failed", "approved"]
    assert [row[2] for row in rows] == ["100.00 points", "150.00 points", "200.00 points"]
    assert rows[1][5] == "no stock"
    assert "3 lines. Completed: 1, failed: 1, approved: 1." in shown(boss, batch)
    assert page("redemption", "change", batch.lines[0].pk) in shown(boss, batch)


def test_parked_line_is_seen_to_wait_for_staff(world: World, batch: RedemptionBatch, boss: Client, settings: Any):
    settings.TWOFA_COMPLETION_MAX_TRIES = 1
    RecordingBackend.failures["complete"] = iter([TemporaryFailure()])
    approve(world.shop, batch)
    assert [row[3] for row in sections(boss, batch)["Lines"]] == ["waits for staff", "completed", "completed"]
    assert status(batch) == "completing"


def test_timeline_tells_of_the_batch_and_of_its_token_and_of_no_other(
    world: World, batch: RedemptionBatch, boss: Client
):
    world.shop.open_batch()
    approve(world.shop, batch)
    told = [row[1] for row in sections(boss, batch)["Timeline, from the first to the last"]]
    assert told == [
        "Token issued",
        "Batch opened: waits for its token",
        "Message: token of a batch",
        "Right token",
        "Batch approved by the right token",
        "Batch completed: all its lines are",
    ]


def test_timeline_of_a_batch_without_a_token(world: World, boss: Client):
    world.shop.campaign.two_factor_mode = "off"
    world.shop.campaign.save()
    batch = world.shop.open_batch()
    told = [row[1] for row in sections(boss, batch)["Timeline, from the first to the last"]]
    assert told == ["Batch opened: needs no token", "Batch completed: all its lines are"]


def test_line_leads_to_its_batch_and_is_not_ended_alone(world: World, batch: RedemptionBatch, boss: Client):
    line = batch.lines[0]
    content = shown(boss, line, "redemption")
    assert page("redemptionbatch", "change", batch.pk) in content
    assert page("challenge", "change", batch.challenge.pk) in content
    assert page("redemption", "cancel", line.pk) not in content
    assert page("redemption", "resend", line.pk) not in content
    boss.post(page("redemption", "cancel", line.pk), {"reason": "She called."})
    assert lines(batch) == {("pending_2fa_approval", "reserved"): 3}


def test_line_does_not_lead_where_a_member_may_not_go(
    world: World, batch: RedemptionBatch, staff: Callable[..., Client]
):
    content = shown(staff("view_redemption"), batch.lines[0], "redemption")
    assert page("redemptionbatch", "change", batch.pk) not in content


def test_challenge_leads_to_its_batch(world: World, batch: RedemptionBatch, boss: Client):
    assert page("redemptionbatch", "change", batch.pk) in shown(boss, batch.challenge, "challenge")


def test_support_cancels_a_batch(world: World, batch: RedemptionBatch, staff: Callable[..., Client]):
    client = staff(*SUPPORT)
    assert page("redemptionbatch", "cancel", batch.pk) in shown(client, batch)
    client.post(page("redemptionbatch", "cancel", batch.pk), {"reason": "She called."})
    assert (status(batch), lines(batch)) == ("cancelled", {("cancelled", "released"): 3})
    event = Event.objects.get(type="batch.cancelled")
    assert (event.actor_kind, event.data["reason"]) == ("staff", "She called.")
    assert page("redemptionbatch", "cancel", batch.pk) not in shown(client, batch)


def test_support_sends_a_new_token(world: World, batch: RedemptionBatch, staff: Callable[..., Client]):
    client = staff(*SUPPORT)
    travel(timedelta(seconds=31))
    client.post(page("redemptionbatch", "resend", batch.pk), {"reason": "It was deleted."})
    batch.challenge.refresh_from_db()
    assert batch.challenge.generation == 2


@pytest.mark.parametrize("name", ["cancel", "resend"])
def test_whoever_may_only_look_does_nothing(
    world: World, batch: RedemptionBatch, staff: Callable[..., Client], name: str
):
    client = staff("view_redemptionbatch")
    travel(timedelta(seconds=31))
    assert client.post(page("redemptionbatch", name, batch.pk), {"reason": "x"}).status_code == 403
    assert status(batch) == "pending_2fa_approval"
    batch.challenge.refresh_from_db()
    assert batch.challenge.generation == 1


@pytest.mark.parametrize("asked", ["request_id", "pk", "correlation_id", "external_id"])
def test_batch_is_found_by_what_whoever_calls_knows(world: World, batch: RedemptionBatch, boss: Client, asked: str):
    term = batch.participant.external_id if asked == "external_id" else str(getattr(batch, asked))
    found = boss.get(page("redemptionbatch", "changelist"), {"q": term}).context["cl"].queryset
    assert batch in found


def test_hostile_texts_are_shown_as_texts(world: World, batch: RedemptionBatch, boss: Client):
    tamper(batch, request_id=HOSTILE)
    tamper(batch.lines[0], description=HOSTILE)
    for content in (shown(boss, batch), boss.get(page("redemptionbatch", "changelist")).content.decode()):
        assert HOSTILE not in content


def test_page_costs_the_same_with_one_line_and_with_a_hundred(world: World, boss: Client):
    def cost(*amounts: str) -> int:
        batch = world.shop.open_batch(*amounts)
        boss.get(page("redemptionbatch", "change", batch.pk))
        with record_statements() as statements:
            boss.get(page("redemptionbatch", "change", batch.pk))
        return len(statements)

    assert cost("1.00") == cost(*["1.00"] * 100) <= 14


def test_batch_that_nobody_settled_is_stuck(world: World, batch: RedemptionBatch, boss: Client, monkeypatch: Any):
    with monkeypatch.context() as patch:
        patch.setattr(settlements, "settle", lambda _pk: None)
        approve(world.shop, batch)
    travel(timedelta(minutes=5))
    content = boss.get(page("redemption", "stuck")).content.decode()
    assert "Batches whose lines have all ended: 1" in content
    assert page("redemptionbatch", "change", batch.pk) in content


def test_undelivered_message_of_a_batch_leads_to_a_new_token(world: World, batch: RedemptionBatch, boss: Client):
    batch.challenge.deliveries.update(status="failed", reason="timeout")
    assert page("redemptionbatch", "resend", batch.pk) in boss.get(page("redemption", "stuck")).content.decode()
