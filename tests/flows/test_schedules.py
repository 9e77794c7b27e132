"""Scheduled redemptions: approved now, executed once at their time, late up to a grace, cancellable until then."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests import factories
from tests.factories import token_of
from tests.fulfillment import RecordingBackend, RemoteBackend
from tests.stories import STAFF, cancel, confirm, deliver_due, points, refused, tamper, travel, unchanged
from twofa import jobs
from twofa.channels.memory import outbox
from twofa.exceptions import Invalid, OrderConflict, RedemptionRefused, WrongState
from twofa.flows import checkouts, completions, next_actions, parked_completions, redemptions, schedules, sweeps
from twofa.models import Campaign, Challenge, Event, IdentityDocument, Participant, Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def published(monkeypatch) -> list[tuple[str, object]]:
    """Jobs that were published; nobody works on them."""
    found: list[tuple[str, object]] = []

    def publish(name, identifier, **_options):
        found.append((name, identifier))
        return True

    monkeypatch.setattr(jobs, "publish", publish)
    return found


def policy(shop, **columns) -> None:
    Campaign.objects.filter(pk=shop.campaign.pk).update(**columns)


def open_for(shop, when: timedelta, **changes) -> Redemption:
    return shop.open(scheduled_for=now() + when, **changes)


def scheduled(shop, when: timedelta = DAY, **changes) -> Redemption:
    """A redemption that was approved for then."""
    redemption = open_for(shop, when, **changes)
    return confirm(shop, redemption, token_of(redemption.challenge))


def execute(redemption: Redemption) -> tuple[str, str]:
    """What a worker does with the job."""
    completions.complete(redemption.pk)
    return points(redemption)


# --- opening ----------------------------------------------------------------------------------------------------------


def test_message_says_when(shop):
    open_for(shop, DAY)
    deliver_due()
    (message,) = outbox
    assert message.event == "schedule.token"
    assert f"{now() + DAY:%d}" in message.text


def codes(error: Invalid) -> list[tuple[str, str]]:
    return [(line["field"], line["code"]) for line in error.params["errors"]]


@pytest.mark.parametrize(
    ("ahead", "when", "code"),
    [
        (90 * DAY, -timedelta(seconds=1), "in_the_past"),
        (90 * DAY, timedelta(0), "in_the_past"),
        (90 * DAY, 90 * DAY + HOUR, "too_far_ahead"),
        (90 * DAY, 3650 * DAY, "too_far_ahead"),
        (timedelta(0), DAY, "not_scheduled_here"),
    ],
)
def test_time_outside_the_limits_is_refused(shop, ahead, when, code):
    policy(shop, schedule_max_ahead=ahead)
    with refused(Invalid) as told:
        open_for(shop, when)
    assert codes(told.value) == [("scheduled_for", code)]


def test_furthest_time_is_taken(shop):
    open_for(shop, 90 * DAY - timedelta(minutes=1))
    assert Redemption.objects.count() == 1


def test_time_is_part_of_the_order(shop):
    when = now() + DAY
    order = shop.order(scheduled_for=when)

    def again(scheduled_for: datetime | None):
        same = shop.order(order_id=order.order_id, scheduled_for=scheduled_for)
        return checkouts.open_redemption(
            same, storefront=shop.storefront, campaign=shop.campaign.slug, actor=shop.actor
        )

    first, _new = again(when)
    assert again(when) == (first, False)
    for other in (None, when + timedelta(microseconds=1)):
        with refused(OrderConflict):
            again(other)
    travel(2 * DAY)
    assert again(when - 2 * DAY)[0].pk == first.pk, "repeated when its time is over"


def test_token_dies_with_the_grace_of_its_time(shop):
    policy(shop, schedule_grace=timedelta(minutes=2))
    redemption = open_for(shop, timedelta(minutes=3))
    challenge = Challenge.objects.get(redemption=redemption)
    assert challenge.deadline == redemption.scheduled_for + timedelta(minutes=2)
    later = open_for(shop, DAY)
    assert Challenge.objects.get(redemption=later).deadline == later.created_at + timedelta(minutes=30)


# --- approved ---------------------------------------------------------------------------------------------------------


def test_approval_schedules_and_calls_nobody(shop):
    redemption = scheduled(shop)
    assert points(redemption) == ("scheduled", "reserved")
    assert RecordingBackend.calls == [("reserve", redemption.pk)]
    row = Redemption.objects.get(pk=redemption.pk)
    assert row.due_at == row.scheduled_for
    told = list(Event.objects.filter(type__startswith="redemption.").order_by("pk").values_list("type", flat=True))
    assert told == ["redemption.pending", "redemption.approved", "redemption.scheduled"]


def test_next_action_is_to_wait_for_its_time(shop):
    redemption = scheduled(shop)
    assert next_actions.of_redemption(redemption) == next_actions.NextAction(
        "wait", available_at=redemption.scheduled_for
    )
    travel(DAY)
    late = redemptions.get(redemption.pk, storefront=shop.storefront)
    assert next_actions.of_redemption(late) == next_actions.NextAction("wait", poll_after=next_actions.POLL_SECONDS)


def test_same_token_again_tells_the_stored_state(shop):
    redemption = open_for(shop, DAY)
    token = token_of(redemption.challenge)
    confirm(shop, redemption, token)
    assert confirm(shop, redemption, token).status == "scheduled"


def test_without_a_token_it_is_scheduled_at_once(shop):
    policy(shop, two_factor_mode="off")
    redemption = open_for(shop, DAY)
    assert points(redemption) == ("scheduled", "reserved")
    assert RecordingBackend.calls == [("reserve", redemption.pk)]
    travel(DAY)
    assert execute(redemption) == ("completed", "completed")


def test_remote_ledger_sets_the_points_aside_before_it_is_scheduled(shop, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    policy(shop, two_factor_mode="off")
    redemption = open_for(shop, DAY)
    assert points(redemption) == ("scheduled", "reserved")
    assert RemoteBackend.calls == [("reserve", redemption.pk)]


def test_remote_ledger_that_answers_late_is_asked_again_and_not_for_the_points(shop, settings):
    settings.TWOFA_FULFILLMENT_BACKEND = RemoteBackend
    policy(shop, two_factor_mode="off")
    RemoteBackend.failures["reserve"] = iter([TimeoutError()])
    redemption = open_for(shop, DAY)
    assert points(redemption) == ("approved", "none")
    travel(timedelta(minutes=2))
    sweeps.sweep()
    assert points(redemption) == ("scheduled", "reserved")
    assert RemoteBackend.count("complete") == 0


# --- executed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [completions.complete, completions.drive])
def test_nobody_executes_it_before_its_time(shop, call):
    redemption = scheduled(shop)
    travel(DAY - timedelta(seconds=30))
    before = Redemption.objects.values().get(pk=redemption.pk)
    call(redemption.pk)
    sweeps.sweep()
    assert Redemption.objects.values().get(pk=redemption.pk) == before
    assert RecordingBackend.count("complete") == 0


def test_sweeper_hands_it_to_a_worker_when_its_time_comes(shop, published):
    redemption = scheduled(shop)
    travel(DAY)
    published.clear()
    assert sweeps.sweep()["executed"] == 1
    assert published == [(jobs.COMPLETE, redemption.pk)]
    assert sweeps.sweep()["executed"] == 0, "it was taken"
    assert points(redemption) == ("scheduled", "reserved")
    assert execute(redemption) == ("completed", "completed")
    assert execute(redemption) == ("completed", "completed")
    assert RecordingBackend.count("complete") == 1


def test_sweeper_executes_it_itself_where_no_broker_takes_the_job(shop, monkeypatch):
    redemption = scheduled(shop)
    travel(DAY)
    monkeypatch.setattr(jobs, "publish", lambda *_args, **_options: False)
    sweeps.sweep()
    assert points(redemption) == ("completed", "completed")


def test_sweeper_executes_it_itself_where_the_worker_does_not_come(shop):
    redemption = scheduled(shop)
    travel(DAY)
    sweeps.sweep()
    travel(schedules.LEASE + timedelta(seconds=1))
    counts = sweeps.sweep()
    assert (counts["executed"], counts["driven"]) == (0, 1)
    assert points(redemption) == ("completed", "completed")


def test_no_more_than_so_many_jobs_are_under_way(shop, monkeypatch, published):
    policy(shop, two_factor_mode="off")
    monkeypatch.setattr(schedules, "AT_ONCE", 3)
    rows = [open_for(shop, DAY) for _ in range(5)]
    travel(DAY + HOUR)
    published.clear()
    assert [sweeps.sweep()["executed"], sweeps.sweep()["executed"]] == [3, 0]
    for _name, pk in list(published):
        completions.complete(pk)
    assert sweeps.sweep()["executed"] == 2
    assert {pk for _name, pk in published} == {row.pk for row in rows}


@pytest.mark.parametrize(("late", "ends"), [(-1, ("completed", "completed")), (1, ("failed", "released"))])
def test_late_up_to_the_grace(shop, late, ends):
    policy(shop, schedule_grace=HOUR)
    redemption = scheduled(shop)
    travel(DAY + HOUR + timedelta(seconds=5 * late))
    assert execute(redemption) == ends
    row = Redemption.objects.get(pk=redemption.pk)
    assert row.failure_code == ("" if late < 0 else "schedule_missed")
    assert RecordingBackend.count("complete") == (late < 0)
    assert RecordingBackend.count("release") == (late > 0)


def test_longer_grace_lets_what_is_late_go_through(shop):
    redemption = scheduled(shop)
    travel(DAY + 7 * HOUR)
    policy(shop, schedule_grace=8 * HOUR)
    assert execute(redemption) == ("completed", "completed")


def test_unknown_outcome_is_tried_again_also_after_the_grace(shop):
    policy(shop, schedule_grace=HOUR)
    RecordingBackend.failures["complete"] = iter([TimeoutError()])
    redemption = scheduled(shop)
    travel(DAY)
    assert execute(redemption) == ("scheduled", "reserved")
    travel(2 * HOUR)
    sweeps.sweep()
    assert points(redemption) == ("completed", "completed")


def test_unclear_one_is_parked_and_left_to_staff(shop, settings):
    settings.TWOFA_COMPLETION_MAX_TRIES = 2
    RecordingBackend.failures["complete"] = iter([TimeoutError()] * 2)
    redemption = scheduled(shop)
    travel(DAY)
    execute(redemption)
    travel(HOUR)
    sweeps.sweep()
    row = Redemption.objects.get(pk=redemption.pk)
    assert (row.is_parked, points(redemption)) == (True, ("scheduled", "reserved"))
    parked_completions.retry(redemption.pk, actor=STAFF, reason="It is up again")
    assert points(redemption) == ("completed", "completed")


def test_refusal_gives_the_points_back(shop):
    RecordingBackend.failures["complete"] = iter([RedemptionRefused("sold_out")])
    redemption = scheduled(shop)
    travel(DAY)
    assert execute(redemption) == ("failed", "released")


# --- the gate, once more ----------------------------------------------------------------------------------------------


def switch_off(row) -> None:
    row.is_active = False
    row.save()


CHANGES = {
    "transaction_changed": lambda shop, redemption: tamper(redemption, amount=Decimal("1500")),
    "not_active": lambda shop, _redemption: switch_off(shop.participant),
    "onboarding_incomplete": lambda shop, _redemption: policy(
        shop, identity_required=True, required_documents=["cnh:front"]
    ),
}


@pytest.mark.parametrize("code", CHANGES)
def test_gate_asks_again_for_all_that_was_asked_for(shop, code):
    redemption = scheduled(shop)
    travel(DAY)
    CHANGES[code](shop, redemption)
    assert execute(redemption) == ("failed", "released")
    assert Redemption.objects.get(pk=redemption.pk).failure_code == code
    assert RecordingBackend.count("complete") == 0


def test_gate_is_open_to_who_proved_their_identity(shop):
    redemption = scheduled(shop)
    travel(DAY)
    assert not IdentityDocument.objects.exists()
    assert execute(redemption) == ("completed", "completed")


def test_moved_time_is_not_what_was_approved(shop):
    redemption = scheduled(shop)
    tamper(redemption, scheduled_for=now() - timedelta(minutes=1))
    assert execute(redemption) == ("failed", "released")
    assert Redemption.objects.get(pk=redemption.pk).failure_code == "transaction_changed"


# --- cancelled --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["required", "off"])
def test_cancelled_until_its_time_with_the_points_given_back(shop, mode):
    policy(shop, two_factor_mode=mode)
    redemption = open_for(shop, DAY)
    if mode == "required":
        confirm(shop, redemption, token_of(redemption.challenge))
    cancelled = cancel(shop, redemption)
    assert (cancelled.status, points(redemption)) == ("cancelled", ("cancelled", "released"))
    assert cancel(shop, redemption).status == "cancelled"
    travel(DAY)
    sweeps.sweep()
    assert execute(redemption) == ("cancelled", "released")
    assert RecordingBackend.calls == [("reserve", redemption.pk), ("release", redemption.pk)]


def test_staff_cancel_with_a_reason(shop):
    redemption = scheduled(shop)
    redemptions.cancel(redemption.pk, storefront=None, actor=STAFF, reason="Called off")
    event = Event.objects.get(type="redemption.cancelled")
    assert (event.actor, event.data) == ("maria", {"reason": "Called off"})


def test_what_may_have_been_spent_is_not_cancelled(shop):
    RecordingBackend.failures["complete"] = iter([TimeoutError()])
    redemption = scheduled(shop)
    travel(DAY)
    execute(redemption)
    with refused(WrongState) as told:
        cancel(shop, redemption)
    assert told.value.detail != WrongState.default_detail
    assert points(redemption) == ("scheduled", "reserved")


def test_what_is_completed_is_not_cancelled(shop):
    redemption = scheduled(shop)
    travel(DAY)
    execute(redemption)
    with refused(WrongState):
        cancel(shop, redemption)


def test_end_of_its_device_leaves_what_is_scheduled_alone(shop):
    redemption = scheduled(shop)
    with unchanged():
        redemptions.cancel_open(redemption.pk, actor=STAFF, reason="device_revoked")
    assert points(redemption) == ("scheduled", "reserved")


def test_participant_of_a_scheduled_one_may_lose_the_device(shop):
    redemption = scheduled(shop)
    shop.device.delete()
    travel(DAY)
    assert Participant.objects.filter(pk=shop.participant.pk).exists()
    assert execute(redemption) == ("completed", "completed")


def test_schedule_counts_in_the_sum_of_the_day(shop):
    policy(shop, threshold=Decimal("200.00"))
    factories.device(shop.participant, "email")
    first = open_for(shop, DAY, amount=Decimal("150.00"))
    assert first.status == "scheduled"
    assert shop.open(amount=Decimal("50.00")).status == "pending_2fa_approval"
