from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests import factories
from tests.factories import Shop, device, link_of, login_challenge, token_of, wrong_token
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, confirm, deliver_due, points, refused, resend, travel, unchanged
from twofa import alerts, signals
from twofa.exceptions import ChallengeClosed, NotFound, OnboardingIncomplete
from twofa.flows import cases, denials, devices, holds, redemptions, sweeps
from twofa.models import DENIAL_LIFE, Case, Challenge, Device, Event, Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

PAUSE, DAY = timedelta(seconds=31), timedelta(days=1)


def deny(challenge: Challenge, contact: Device | None = None) -> Case:
    return denials.deny(*link_of(challenge, contact))


def types_of(case: Case) -> list[str]:
    rows = Event.objects.filter(correlation_id=case.correlation_id).order_by("pk")
    return list(rows.values_list("type", flat=True))


# --- in time ----------------------------------------------------------------------------------------------------------


def test_what_waits_is_rejected_and_its_points_are_given_back(shop: Shop, redemption: Redemption):
    token = token_of(redemption.challenge)
    case = deny(redemption.challenge)

    assert points(redemption) == ("rejected", "released")
    assert RecordingBackend.count("release") == 1
    challenge = Challenge.objects.get()
    assert (challenge.status, challenge.seed, challenge.attempts) == ("rejected", None, 0)
    assert Redemption.objects.get().failure_code == "not_me"
    with refused(ChallengeClosed):
        confirm(shop, redemption, token)
    assert types_of(case) == [
        "challenge.rejected", "redemption.rejected", "device.held", "case.opened", "points.released",
    ]  # fmt: skip
    assert {event.data["reason"] for event in Event.objects.filter(type__endswith=".rejected")} == {"not_me"}


def test_case_has_what_it_is_about(shop: Shop, redemption: Redemption):
    case = deny(redemption.challenge)

    assert (case.status, case.too_late, case.outcome, case.note) == ("open", False, "", "")
    assert (case.campaign_id, case.participant_id) == (shop.campaign.pk, shop.participant.pk)
    assert (case.challenge_id, case.redemption_id) == (redemption.challenge.pk, redemption.pk)
    assert (case.device_id, case.reported_from_id) == (shop.device.pk, shop.device.pk)
    event = Event.objects.get(type="case.opened")
    assert (event.actor_kind, event.actor) == ("participant", shop.participant.external_id)
    assert (event.redemption_id, event.device_id, event.data["case"]) == (redemption.pk, shop.device.pk, str(case.pk))


def test_somebody_is_told_once(shop: Shop, redemption: Redemption, caplog: pytest.LogCaptureFixture):
    alerts.forget()
    told: list[Any] = []

    def listen(case: Case, **_others: Any) -> None:
        told.append(case.pk)

    signals.case_opened.connect(listen)
    try:
        case = deny(redemption.challenge)
        deny(redemption.challenge)
    finally:
        signals.case_opened.disconnect(listen)

    assert told == [case.pk]
    (record,) = [record for record in caplog.records if getattr(record, "alert", "") == "reported_not_me"]
    assert record.levelno == logging.ERROR
    assert record.alert_ids["case"] == str(case.pk)


def test_pressed_twice_there_is_one_case(redemption: Redemption):
    case = deny(redemption.challenge)

    with unchanged():
        assert deny(redemption.challenge) == case


def test_past_its_deadline_it_is_expired_and_reported_all_the_same(redemption: Redemption):
    travel(timedelta(minutes=31))
    case = deny(redemption.challenge)

    assert points(redemption) == ("expired", "released")
    assert Challenge.objects.get().status == "expired"
    assert (case.too_late, case.status) == (False, "open")
    assert not Event.objects.get(type="redemption.expired").data


def test_held_message_is_not_sent(shop: Shop, redemption: Redemption):
    deny(redemption.challenge)
    deliver_due()

    assert Challenge.objects.get().deliveries.get().status == "superseded"


# --- too late ---------------------------------------------------------------------------------------------------------


def test_what_was_approved_is_not_undone(shop: Shop, redemption: Redemption):
    token = token_of(redemption.challenge)
    confirm(shop, redemption, token)
    case = deny(redemption.challenge)

    assert case.too_late
    assert points(redemption) == ("completed", "completed")
    assert RecordingBackend.count("release") == 0
    assert Device.objects.get().is_held
    assert types_of(case) == ["device.held", "case.opened"]


def test_what_is_scheduled_is_cancelled_and_its_points_are_given_back(shop: Shop):
    redemption = shop.open(scheduled_for=now() + DAY)
    confirm(shop, redemption, token_of(redemption.challenge))
    case = deny(redemption.challenge)

    assert not case.too_late
    assert points(redemption) == ("cancelled", "released")
    assert types_of(case) == ["redemption.cancelled", "device.held", "case.opened", "points.released"]
    assert Event.objects.get(type="redemption.cancelled").data["reason"] == "not_me"
    travel(DAY)
    sweeps.sweep()
    assert RecordingBackend.count("complete") == 0


@pytest.mark.parametrize("tries", [1, 2])
def test_what_may_have_been_spent_at_its_time_is_not_cancelled(shop: Shop, tries: int):
    redemption = shop.open(scheduled_for=now() + DAY)
    confirm(shop, redemption, token_of(redemption.challenge))
    Redemption.objects.update(completion_tries=tries)

    assert deny(redemption.challenge).too_late
    assert points(redemption) == ("scheduled", "reserved")
    assert RecordingBackend.count("release") == 0


def test_what_was_rejected_stays_so_and_is_reported(shop: Shop, redemption: Redemption):
    redemptions.cancel(redemption.pk, storefront=None, actor=STAFF)
    case = deny(redemption.challenge)

    assert not case.too_late
    assert points(redemption) == ("cancelled", "released")
    assert RecordingBackend.count("release") == 1


# --- the device -------------------------------------------------------------------------------------------------------


def test_other_challenges_on_the_device_are_cancelled(shop: Shop, redemption: Redemption):
    other, login = shop.open(), login_challenge(shop)
    deny(redemption.challenge)

    assert points(other) == ("cancelled", "released")
    login.refresh_from_db()
    assert login.status == "cancelled"
    assert Event.objects.get(challenge=login, type="challenge.cancelled").data["reason"] == "not_me"
    assert Event.objects.get(redemption=other, type="redemption.cancelled").data["reason"] == "not_me"


def test_challenge_on_another_device_goes_on(shop: Shop, redemption: Redemption):
    second = device(shop.participant, "email")
    elsewhere = shop.open(channel="email")
    deny(redemption.challenge)

    assert points(elsewhere) == ("pending_2fa_approval", "reserved")
    assert not Device.objects.get(pk=second.pk).is_held
    assert confirm(shop, elsewhere, token_of(elsewhere.challenge)).status == "completed"


def test_revoked_device_is_not_held(shop: Shop, redemption: Redemption):
    confirm(shop, redemption, token_of(redemption.challenge))
    devices.reset(shop.device, actor=STAFF, reason="Lost.")
    case = deny(redemption.challenge)

    assert case.device_id == shop.device.pk
    assert Device.objects.get().held_at is None
    assert not Event.objects.filter(type="device.held").exists()


def test_device_of_the_last_token_is_held_whichever_message_was_answered(shop: Shop):
    email = device(shop.participant, "email")
    redemption = shop.open(channel="email")
    first = link_of(redemption.challenge, email)
    travel(PAUSE)
    resend(shop, redemption, channel="sms")
    case = denials.deny(*first)

    assert (case.device_id, case.reported_from_id) == (shop.device.pk, email.pk)
    assert points(redemption) == ("rejected", "released")
    assert {row.pk: row.is_held for row in Device.objects.all()} == {shop.device.pk: True, email.pk: False}


def test_whoever_reads_the_mail_cannot_add_a_device_while_the_phone_is_held(shop: Shop):
    """They have the phone held, and then agree alone: nobody is asked in its place."""
    device(shop.participant, "email")
    redemption = shop.open(channel="sms")
    deny(redemption.challenge)

    with refused(OnboardingIncomplete) as refusal:
        devices.register(
            shop.participant, storefront=shop.storefront, channel="sms", address="+5511988887777", actor=shop.actor
        )
    assert refusal.value.params["next_action"].type == "wait"


def test_new_device_that_a_stranger_was_asked_about_gets_no_second_message(shop: Shop):
    shop.device.delete()
    registration = devices.register(
        shop.participant, storefront=shop.storefront, channel="email", address="bob@example.com", actor=shop.actor
    )
    case = deny(registration.challenge)

    assert Challenge.objects.get().status == "rejected"
    assert (case.redemption_id, case.device_id) == (None, registration.device.pk)
    travel(timedelta(minutes=2))
    with refused(OnboardingIncomplete):
        devices.resend(registration.device, storefront=shop.storefront, actor=shop.actor)


# --- the link ---------------------------------------------------------------------------------------------------------


def test_looking_changes_nothing(shop: Shop, redemption: Redemption):
    with unchanged():
        found = denials.look(*link_of(redemption.challenge))

    assert (found.challenge.pk, found.sent_to.pk, found.is_reported) == (
        redemption.challenge.pk, shop.device.pk, False,
    )  # fmt: skip
    deny(redemption.challenge)
    assert denials.look(*link_of(redemption.challenge)).is_reported


def forgeries(pk: UUID, seal: str) -> list[tuple[UUID, str]]:
    changed = ("A" if seal[0] != "A" else "B") + seal[1:]
    return [
        (pk, ""), (pk, seal[:-1]), (pk, seal + "A"), (pk, seal.swapcase()), (pk, changed), (pk, f"{seal}="),
        (pk, "é" * 22), (pk, "\ud800" * 22), (uuid4(), seal),
    ]  # fmt: skip


def test_forged_seal_is_nothing(shop: Shop, redemption: Redemption):
    other = shop.open()
    pk, seal = link_of(redemption.challenge)

    for forged in [*forgeries(pk, seal), (other.challenge.pk, seal)]:
        for call in (denials.look, denials.deny):
            with refused(NotFound):
                call(*forged)
    assert denials.look(pk, seal).sent_to == shop.device


def test_seal_for_a_device_of_somebody_else_is_nothing(redemption: Redemption):
    stranger = Shop().device
    with refused(NotFound):
        denials.deny(*link_of(redemption.challenge, stranger))


def test_link_of_a_revoked_contact_is_still_good_for_its_challenge(shop: Shop):
    email = device(shop.participant, "email")
    redemption = shop.open(channel="email")
    link = link_of(redemption.challenge, email)
    devices.reset(email, actor=STAFF, reason="Not theirs any more.")

    assert denials.deny(*link).reported_from_id == email.pk


@pytest.mark.parametrize(("past", "is_valid"), [(timedelta(minutes=-5), True), (timedelta(minutes=5), False)])
def test_link_ends_with_its_time(redemption: Redemption, past: timedelta, is_valid: bool):
    redemptions.cancel(redemption.pk, storefront=None, actor=STAFF)
    link = link_of(redemption.challenge)
    travel(DENIAL_LIFE + past)

    if is_valid:
        assert denials.deny(*link).status == "open"
    else:
        with refused(NotFound):
            denials.deny(*link)


def test_key_that_left_the_ring_takes_its_links_with_it(redemption: Redemption, settings: Any):
    link = link_of(redemption.challenge)
    ring = settings.TWOFA_TOKEN_KEYS
    settings.TWOFA_TOKEN_KEYS = {"new": bytes(range(32, 64))}
    with refused(NotFound):
        denials.deny(*link)

    settings.TWOFA_TOKEN_KEYS = {"new": bytes(range(32, 64)), **ring}
    assert denials.deny(*link).status == "open", "no longer the one that issues"


def test_contact_verification_has_no_link(shop: Shop):
    challenge = login_challenge(shop)
    link = link_of(challenge)
    Challenge.objects.filter(pk=challenge.pk).update(participant=None, purpose="contact")

    with refused(NotFound):
        denials.deny(*link)


def test_erased_participant_has_no_link(shop: Shop, redemption: Redemption):
    link = link_of(redemption.challenge)
    factories.Participant.objects.update(erased_at=shop.participant.created_at)

    with refused(NotFound):
        denials.deny(*link)


def test_another_case_after_the_first_was_closed(shop: Shop, redemption: Redemption):
    case = deny(redemption.challenge)
    holds.release(shop.device, by=factories.staff(), actor=STAFF, reason="Spoken with.")
    cases.close(case, by=factories.staff(), actor=STAFF, outcome="mistake", note="Her son.")

    again = deny(redemption.challenge)
    assert again.pk != case.pk
    assert Device.objects.get().is_held
    assert RecordingBackend.count("release") == 1


def test_revoked_contact_reports_the_same_token_once(shop: Shop):
    """Whoever still reads a mailbox that was taken out would keep the phone held for thirty days."""
    email = device(shop.participant, "email")
    redemption = shop.open(channel="email")
    travel(PAUSE)
    resend(shop, redemption, channel="sms")
    link = link_of(redemption.challenge, email)
    case = denials.deny(*link)
    holds.release(shop.device, by=factories.staff(), actor=STAFF, reason="Spoken with.")
    cases.close(case, by=factories.staff(), actor=STAFF, outcome="fraud", note="An old mailbox.")
    devices.reset(email, actor=STAFF, reason="An old mailbox.")

    for press in (denials.look, denials.deny):
        with refused(NotFound):
            press(*link)
    assert not Device.objects.get(pk=shop.device.pk).is_held


def test_wrong_tokens_before_are_still_counted(shop: Shop, redemption: Redemption):
    with pytest.raises(Exception, match="token_invalid"):
        confirm(shop, redemption, wrong_token(redemption.challenge))
    deny(redemption.challenge)

    assert Challenge.objects.get().attempts == 1
