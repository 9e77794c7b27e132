"""What storefronts are told of an end that they did not ask for: that it came, and why."""

from __future__ import annotations

import pytest

from tests import factories
from tests.endpoints import make_endpoint
from tests.factories import link_of
from tests.flows.channels import SETTING, ScriptedChannel
from tests.stories import STAFF, deliver_due, reject
from twofa import jobs
from twofa.channels import DeliveryError
from twofa.flows import denials, devices, holds, redemptions
from twofa.models import Webhook, WebhookEndpoint

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
