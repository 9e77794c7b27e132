"""What storefronts are told of an end that they did not ask for: that it came, and why."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import batches, factories
from tests.companies import Company
from tests.endpoints import make_endpoint
from tests.factories import link_of, token_of
from tests.flows.channels import SETTING, ScriptedChannel
from tests.stories import STAFF, cancel, confirm, deliver_due, reject, tamper
from twofa import jobs
from twofa.channels import DeliveryError
from twofa.exceptions import TransactionChanged
from twofa.flows import batches as batch_flows
from twofa.flows import denials, devices, erasures, holds, redemptions
from twofa.models import Failure, Redemption, RedemptionBatch, Webhook, WebhookEndpoint
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _unpublished(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent here."""
    monkeypatch.setattr(jobs, "publish", lambda *_args, **_options: True)


@pytest.fixture
def told(shop: factories.Shop) -> WebhookEndpoint:
    return make_endpoint(of=shop.storefront)


def types(of: WebhookEndpoint) -> list[str]:
    return list(Webhook.objects.filter(endpoint=of).order_by("id").values_list("type", flat=True))


def last(type_: str) -> Webhook:
    return Webhook.objects.filter(type=type_).latest("id")


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda shop, row: reject(shop, row, 5), "attempts_exhausted"),
        (lambda shop, row: denials.deny(*link_of(row.challenge)), "not_me"),
    ],
)
def test_rejection_is_told_with_its_reason(told, shop, end, code):
    end(shop, shop.open())
    assert last("redemption.rejected").data["failure"] == {"code": code}
    assert last("challenge.rejected").data["reason"] == code


def test_rejected_batch_and_its_lines_are_told_with_their_reason(told, shop):
    denials.deny(*link_of(shop.open_batch().challenge))
    rejected = Webhook.objects.filter(type__in=("batch.rejected", "redemption.rejected"))
    assert [row.data["failure"] for row in rejected] == [{"code": "not_me"}] * 4


def reset_device(shop: factories.Shop, _row: Redemption) -> None:
    devices.reset(shop.device, actor=STAFF, reason="Ana rang")


def report_another(shop: factories.Shop, _row: Redemption) -> None:
    denials.deny(*link_of(shop.open().challenge))


def confirm_tampered(shop: factories.Shop, row: Redemption) -> None:
    tamper(row, amount="1.00")
    with pytest.raises(TransactionChanged):
        confirm(shop, row, token_of(row.challenge))


def cancel_as_staff(_shop: factories.Shop, row: Redemption) -> None:
    redemptions.cancel(row.pk, storefront=None, actor=STAFF, reason="Ana rang")


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (reset_device, "device_revoked"),
        (report_another, "not_me"),
        (confirm_tampered, "transaction_changed"),
        (cancel_as_staff, None),
        (cancel, None),
    ],
)
def test_cancellation_that_nobody_asked_for_is_told_with_its_reason(told, shop, end, code):
    redemption = shop.open()
    end(shop, redemption)

    told_of = {row.type: row.data for row in Webhook.objects.filter(subject_id=redemption.pk)}
    assert told_of["redemption.cancelled"]["failure"] == (code and {"code": code})
    assert Webhook.objects.get(type="challenge.cancelled", data__redemption=str(redemption.pk)).data["reason"] == code
    assert Redemption.objects.get(pk=redemption.pk).failure_code == (code or "")


def test_report_of_what_is_scheduled_is_told_with_its_cancellation(told, shop):
    redemption = shop.open(scheduled_for=now() + timedelta(days=1))
    confirm(shop, redemption, token_of(redemption.challenge))
    denials.deny(*link_of(redemption.challenge))
    assert last("redemption.cancelled").data["failure"] == {"code": "not_me"}


def test_order_of_an_erased_approver_is_told_with_its_cancellation():
    company = Company()
    make_endpoint(of=company.storefront)
    company.ask()
    erasures.erase(company.director, actor=STAFF)
    assert last("redemption.cancelled").data["failure"] == {"code": "approver_erased"}


def test_tampered_batch_and_its_lines_are_told_with_their_reason(told, shop):
    batch = shop.open_batch()
    tamper(batch.lines[1], amount="9999.00")
    with pytest.raises(TransactionChanged):
        batches.approve(shop, batch)
    cancelled = Webhook.objects.filter(type__in=("batch.cancelled", "redemption.cancelled"))
    assert [row.data["failure"] for row in cancelled] == [{"code": "transaction_changed"}] * 4


def test_held_and_released_device_is_told_to_all_who_serve_the_campaign(shop, told):
    others = make_endpoint(of=factories.storefront(shop.campaign))
    denials.deny(*link_of(shop.open().challenge))
    shop.device.refresh_from_db()
    holds.release(shop.device, by=factories.staff(), actor=STAFF, reason="Ana rang")
    devices.reset(shop.device, actor=STAFF, reason="lost")

    assert types(told) == [
        "redemption.pending",
        "challenge.rejected",
        "redemption.rejected",
        "device.held",
        "device.released",
        "device.revoked",
    ]
    assert types(others) == ["device.held", "device.released", "device.revoked"]
    rows = list(Webhook.objects.filter(endpoint=others).order_by("id"))
    assert [(row.data["status"], row.data["held"]) for row in rows] == [
        ("active", True),
        ("active", False),
        ("revoked", False),
    ]
    versions = [row.version for row in rows]
    assert versions == sorted(set(versions)), "whoever drops what is not above the last one hears each of them"
    assert {row.subject_id for row in rows} == {str(shop.device.uuid)}


def test_cancelled_challenge_is_told_above_its_lost_tokens_and_without_what_staff_wrote(shop, told, settings):
    settings.TWOFA_CHANNELS = SETTING
    ScriptedChannel.follow(DeliveryError("recipient_refused", retryable=False))
    redemption = shop.open()
    deliver_due()
    redemptions.cancel(redemption.pk, storefront=None, actor=STAFF, reason="Ana rang")

    cancelled = last("challenge.cancelled")
    assert cancelled.version > last("token.undeliverable").version
    assert (cancelled.data["status"], cancelled.data["reason"]) == ("cancelled", None)
    assert cancelled.data["redemption"] == str(redemption.pk)


def test_login_that_was_reported_is_told_as_cancelled_because_of_that(shop, told):
    login = factories.login_challenge(shop)
    denials.deny(*link_of(shop.open().challenge))
    cancelled = Webhook.objects.get(type="challenge.cancelled", subject_id=login.pk)
    assert cancelled.data["reason"] == "not_me"


@pytest.mark.parametrize("reason", Failure.values)
def test_what_staff_write_is_no_code_even_if_it_reads_like_one(told, shop, reason):
    for ended in (shop.open(), shop.open_batch()):
        flow = batch_flows if isinstance(ended, RedemptionBatch) else redemptions
        flow.cancel(ended.pk, storefront=None, actor=STAFF, reason=reason)
    assert set(Redemption.objects.values_list("status", "failure_code")) == {("cancelled", "")}
    assert last("challenge.cancelled").data["reason"] is None
    assert last("batch.cancelled").data["failure"] is None
