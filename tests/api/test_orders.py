"""Redemptions that somebody else approves, and those that wait for their time, as a storefront's backend sees them."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.api.client import Api, checkouts, nothing_changes, order, refused
from tests.companies import DIRECTOR, STRANGER, Company
from tests.factories import key, token_of
from tests.stories import STAFF, deliver_due, travel
from twofa.channels.memory import outbox
from twofa.flows import approvers, sweeps
from twofa.models import Campaign, Challenge, Device, Redemption, Storefront
from twofa.models.clock import now

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def company() -> Company:
    return Company()


@pytest.fixture(autouse=True)
def _nothing_sent_yet() -> None:
    outbox.clear()


@pytest.fixture
def backend(company) -> Api:
    return Api(key(company.storefront))


@pytest.fixture
def no_broker(monkeypatch):
    """The sweeper executes itself what is due."""
    monkeypatch.setattr("twofa.jobs.publish", lambda *_args, **_options: False)


def named(number: str = DIRECTOR, **more):
    return {"approver": {"document_number": number, **more}}


def token(body) -> str:
    return token_of(Challenge.objects.get(redemption_id=body["id"]))


def confirm(backend, body, typed: str | None = None):
    return backend.post(f"/redemptions/{body['id']}/confirm/", {"token": typed or token(body)})


# --- approvers --------------------------------------------------------------------------------------------------------


def test_approver_gets_the_token_and_the_answer_never_says_their_number(company, backend):
    response = backend.post(checkouts(company), order(company, **named("529.982.247-25", channel="email")))
    deliver_due()
    shown = response.json()
    assert response.status_code == 201
    assert shown["approver"] == {"participant": "director"}
    assert shown["two_factor"]["reason"] == "approver_required"
    assert shown["two_factor"]["challenge"]["destination"] == company.mail.destination
    assert [message.recipient for message in outbox] == [company.mail.address]
    assert DIRECTOR not in response.content.decode()
    assert confirm(backend, shown).json()["status"] == "completed"
    read = backend.get(f"/redemptions/{shown['id']}/").json()
    listed = backend.get(checkouts(company)).json()["results"]
    assert read["approver"] == listed[0]["approver"] == {"participant": "director"}


def test_who_may_not_approve_is_one_answer(company, backend):
    company.person(STRANGER)
    answers = []
    for number in (STRANGER, "000", company.participant.external_id):
        with nothing_changes():
            problem = refused(
                backend.post(checkouts(company), order(company, **named(number))), 422, "approver_not_entitled"
            )
        problem.pop("correlation_id")
        answers.append(problem)
    assert answers[0] == answers[1] == answers[2]


def test_approver_without_a_device_is_missing(company, backend):
    Device.objects.filter(participant=company.director).delete()
    with nothing_changes():
        problem = refused(backend.post(checkouts(company), order(company, **named())), 409, "onboarding_incomplete")
    assert problem["missing"] == ["approver_device"]
    assert problem["next_action"] == {"type": "none"}


def test_entitlement_that_is_gone_is_told_before_the_token_is_looked_at(company, backend):
    shown = backend.post(checkouts(company), order(company, **named())).json()
    right = token(shown)
    approvers.revoke(company.entitlement, actor=STAFF, reason="Left")
    for typed in (right, "000000"):
        with nothing_changes():
            refused(confirm(backend, shown, typed), 422, "approver_not_entitled")
    read = backend.get(f"/redemptions/{shown['id']}/").json()
    assert (read["status"], read["two_factor"]["challenge"]["attempts_remaining"]) == ("pending_2fa_approval", 5)


def test_resend_goes_to_the_approver_by_another_channel(company, backend):
    shown = backend.post(checkouts(company), order(company, **named())).json()
    travel(timedelta(seconds=31))
    again = backend.post(f"/redemptions/{shown['id']}/resend/", {"channel": "email"}).json()
    assert again["two_factor"]["challenge"]["destination"] == company.mail.destination


# --- schedules --------------------------------------------------------------------------------------------------------


def test_scheduled_one_is_approved_now_and_executed_at_its_time(company, backend, no_broker):
    # Seconds are enough for a schedule, and any offset names the same moment.
    when = (now() + DAY).replace(microsecond=0).astimezone(ZoneInfo("America/Sao_Paulo"))
    utc = when.astimezone(ZoneInfo("UTC")).isoformat().replace("+00:00", "Z")
    body = order(company, scheduled_for=when.isoformat())
    shown = backend.post(checkouts(company), body).json()
    assert (shown["status"], shown["scheduled_for"]) == ("pending_2fa_approval", utc)
    response = confirm(backend, shown)
    assert (response.status_code, response.json()["status"]) == (200, "scheduled")
    path = f"/redemptions/{shown['id']}/"
    assert response.json()["next_action"] == {"type": "wait", "available_at": utc, "path": path}
    assert backend.get(f"{checkouts(company)}?status=scheduled").json()["results"][0]["scheduled_for"] == utc
    assert backend.post(checkouts(company), {**body, "scheduled_for": utc}).status_code == 200
    travel(DAY)
    sweeps.sweep()
    assert backend.get(f"/redemptions/{shown['id']}/").json()["status"] == "completed"


def test_scheduled_one_is_cancelled_until_its_time(company, backend):
    shown = backend.post(checkouts(company), order(company, scheduled_for=(now() + DAY).isoformat())).json()
    confirm(backend, shown)
    for _time in range(2):
        answer = backend.post(f"/redemptions/{shown['id']}/cancel/")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    row = Redemption.objects.get(pk=shown["id"])
    assert (row.points, row.due_at) == ("released", None)


def test_missed_one_tells_why(company, backend, no_broker):
    shown = backend.post(checkouts(company), order(company, scheduled_for=(now() + DAY).isoformat())).json()
    confirm(backend, shown)
    travel(2 * DAY)
    sweeps.sweep()
    read = backend.get(f"/redemptions/{shown['id']}/").json()
    assert (read["status"], read["failure"]["code"]) == ("failed", "schedule_missed")
    assert "in time" in read["failure"]["detail"]


def test_hour_that_daylight_saving_skips_cannot_be_meant_by_a_time_with_an_offset(company, backend):
    """Without an offset 02:30 of that night is no moment at all; with one each text is exactly one."""
    with nothing_changes():
        problem = refused(
            backend.post(checkouts(company), order(company, scheduled_for="2027-03-14T02:30:00")), 400, "invalid"
        )
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [("scheduled_for", "not_a_time")]


# --- completion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_campaign", "of_storefront", "status"),
    [("sync", "", 200), ("async", "", 202), ("sync", "async", 202), ("async", "sync", 200)],
)
def test_storefronts_mode_of_completion_comes_before_the_campaigns(
    company, backend, monkeypatch, of_campaign, of_storefront, status
):
    monkeypatch.setattr("twofa.jobs.publish", lambda *_args, **_options: True)
    Campaign.objects.update(completion_mode=of_campaign)
    Storefront.objects.update(completion_mode=of_storefront)
    shown = backend.post(checkouts(company), order(company)).json()
    assert confirm(backend, shown).status_code == status
    Campaign.objects.update(two_factor_mode="off")
    exempt = backend.post(checkouts(company), order(company)).json()
    assert exempt["status"] == ("completed" if status == 200 else "approved")


# --- statements -------------------------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_statements_of_an_approved_and_a_scheduled_one(company, backend, sql):
    """One without either costs what it always did; the budgets of these are in test_statements."""
    backend.get("/campaigns/")
    with sql() as opened:
        shown = backend.post(checkouts(company), order(company, **named())).json()
    right = token(shown)
    with sql() as confirmed:
        confirm(backend, shown, right)
    assert (len(opened), len(confirmed)) == (11, 10), f"{opened}\n\n{confirmed}"
    body = order(company, scheduled_for=(now() + DAY).isoformat())
    with sql() as opened:
        shown = backend.post(checkouts(company), body).json()
    right = token(shown)
    with sql() as confirmed:
        confirm(backend, shown, right)
    assert len(opened) <= 9, str(opened)
    assert len(confirmed) <= 9, str(confirmed)
