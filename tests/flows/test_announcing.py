"""What storefronts are told: stored with the change, to its owner alone, in ids and states."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from tests import factories, papers
from tests.factories import token_of
from tests.flows.channels import SETTING, ScriptedChannel
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, cancel, confirm, deliver_due, refused, reject, stored, travel
from twofa import jobs
from twofa.channels import DeliveryError
from twofa.exceptions import RedemptionRefused, TransitionRefused
from twofa.flows import announcing, devices, redemptions, storefronts, webhook_endpoints
from twofa.flows.announcing import EVENTS
from twofa.flows.history import WORKER, Trail
from twofa.models import EVENT_LABELS, WEBHOOKS, Challenge, Redemption, Webhook, WebhookEndpoint
from twofa.models.clock import now
from twofa.models.webhook_endpoint import SUBJECTS

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unpublished(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Nothing is sent here; what would be published."""
    published: list[tuple[Any, ...]] = []
    monkeypatch.setattr(jobs, "publish", lambda *args, **_options: published.append(args) or True)
    return published


def endpoint(of: Any, path: str = "", **options: Any) -> WebhookEndpoint:
    url = f"https://shop.example/{of.pk}{path}"
    return webhook_endpoints.open_endpoint(of, actor=STAFF, url=url, **options)[0]


@pytest.fixture
def told(shop: factories.Shop) -> WebhookEndpoint:
    return endpoint(shop.storefront)


def types(of: WebhookEndpoint) -> list[str]:
    return list(Webhook.objects.filter(endpoint=of).order_by("id").values_list("type", flat=True))


def last(type_: str) -> Webhook:
    return Webhook.objects.filter(type=type_).latest("id")


# --- which


def test_checkout_and_confirm_are_told_in_ids_and_states(shop, told):
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))

    expected = ["redemption.pending", "challenge.approved", "redemption.approved", "redemption.completed"]
    assert types(told) == expected
    row = last("redemption.completed")
    stored = Redemption.objects.get()
    assert json.loads(row.body()) == {
        "type": "redemption.completed",
        "timestamp": row.created_at.isoformat(),
        "test": False,
        "data": {
            "id": str(redemption.pk),
            "version": stored.version,
            "status": "completed",
            "order_id": redemption.order_id,
            "batch": None,
            "failure": None,
        },
    }
    assert last("challenge.approved").data == {
        "id": str(redemption.challenge.pk),
        "version": 2,
        "purpose": "redemption",
        "status": "approved",
        "reason": None,
        "redemption": str(redemption.pk),
        "batch": None,
    }
    assert (row.status, row.tries, row.due_at, row.subject, row.subject_id) == (
        "queued",
        0,
        row.created_at,
        "redemption",
        str(redemption.pk),
    )


def test_versions_of_one_redemption_grow(shop, told):
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    versions = list(Webhook.objects.filter(subject="redemption").order_by("id").values_list("version", flat=True))
    assert versions == sorted(set(versions))
    assert len(versions) == 3


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda shop, row: reject(shop, row, 5), ["challenge.rejected", "redemption.rejected"]),
        (lambda shop, row: cancel(shop, row), ["challenge.cancelled", "redemption.cancelled"]),
    ],
)
def test_ends_are_told(shop, told, end, expected):
    end(shop, shop.open())
    assert types(told) == ["redemption.pending", *expected]


def test_expiry_is_told(shop, told):
    redemption = shop.open()
    travel(timedelta(minutes=31))
    redemptions.expire(redemption.pk)
    assert types(told) == ["redemption.pending", "challenge.expired", "redemption.expired"]


def test_exempt_redemption_is_told_as_approved(told, shop):
    shop.campaign.two_factor_mode = "off"
    shop.campaign.save()
    shop.open()
    assert types(told) == ["redemption.approved", "redemption.completed"]


def test_failure_is_told_by_its_code_alone(told, shop):
    redemption = shop.open()
    RecordingBackend.failures["complete"] = iter([RedemptionRefused("no_such_account")])
    confirm(shop, redemption, token_of(redemption.challenge))
    assert last("redemption.failed").data["failure"] == {"code": "no_such_account"}


def test_token_that_cannot_be_delivered_is_told(shop, told, settings):
    settings.TWOFA_CHANNELS = SETTING
    ScriptedChannel.follow(DeliveryError("recipient_refused", retryable=False))
    redemption = shop.open()
    deliver_due()
    assert types(told) == ["redemption.pending", "token.undeliverable"]
    assert last("token.undeliverable").data == {
        "id": str(redemption.challenge.pk),
        "version": 1,
        "reason": "recipient_refused",
        "redemption": str(redemption.pk),
        "batch": None,
    }
    confirm(shop, redemption, token_of(redemption.challenge))
    assert last("challenge.approved").version > last("token.undeliverable").version


def test_token_that_goes_to_the_next_channel_is_not_told_as_lost(shop, told, settings):
    settings.TWOFA_CHANNELS = SETTING
    factories.device(shop.participant, "email")
    ScriptedChannel.follow(DeliveryError("recipient_refused", retryable=False))
    shop.open()
    deliver_due()
    assert Challenge.objects.get().generation == 2
    assert types(told) == ["redemption.pending"]


def test_device_document_and_participant_are_told_to_all_who_serve_the_campaign(shop, told, documents_folder):
    other = factories.storefront(shop.campaign)
    others = endpoint(other)
    registration = devices.register(
        factories.participant(shop.campaign), storefront=other, channel="sms", address="+5511987650001", actor=STAFF
    )
    token = token_of(registration.device.challenges_about.get())
    device = devices.verify(registration.device, storefront=other, token=token, actor=STAFF)
    papers.decide(papers.submitted(shop.participant, "rg"), approve=True)
    devices.reset(device, actor=STAFF, reason="lost")

    assert types(told) == [
        "device.activated",
        "participant.onboarded",
        "document.approved",
        "participant.onboarded",
        "device.revoked",
    ]
    # Whose token it was hears of that too.
    assert types(others) == ["challenge.approved", *types(told)]
    activated, revoked = last("device.activated"), last("device.revoked")
    assert activated.data == {"id": str(device.uuid), "version": activated.version, "status": "active", "held": False}
    assert (revoked.subject_id, revoked.data["status"]) == (str(device.uuid), "revoked")
    assert revoked.version > activated.version
    document = last("document.approved").data
    assert (document["status"], document["reason"], document["version"]) == ("approved", None, 2)
    onboarded = Webhook.objects.filter(type="participant.onboarded").earliest("id")
    assert onboarded.data["campaign"] == shop.campaign.slug
    assert onboarded.subject_id == str(device.participant_id)


def test_every_event_that_is_told_exists_and_every_webhook_has_its_event():
    # Those of batches are written by the flows of batches.
    assert {type_ for type_ in EVENTS if not type_.startswith("batch.")} <= EVENT_LABELS.keys()
    assert set(EVENTS.values()) == set(WEBHOOKS)


# --- to whom


def test_no_other_storefront_is_told(shop, told):
    same_campaign = endpoint(factories.storefront(shop.campaign))
    other = factories.Shop()
    elsewhere = endpoint(other.storefront)

    redemption = shop.open()
    cancel(shop, redemption)

    assert types(told) == ["redemption.pending", "challenge.cancelled", "redemption.cancelled"]
    assert types(same_campaign) == types(elsewhere) == []


def test_campaign_that_a_storefront_serves_no_more_tells_it_nothing(shop, told):
    storefronts.update(shop.storefront, actor=STAFF, changes={"campaigns": []})
    devices.reset(shop.device, actor=STAFF, reason="lost")
    assert types(told) == []


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], ["redemption.pending", "challenge.cancelled", "redemption.cancelled", "device.revoked"]),
        (["redemption"], ["redemption.pending", "redemption.cancelled"]),
        (["redemption.cancelled", "device"], ["redemption.cancelled", "device.revoked"]),
        (["document"], []),
    ],
)
def test_endpoint_is_told_what_it_asked_for(shop, events, expected):
    told = endpoint(shop.storefront, events=events)
    cancel(shop, shop.open())
    devices.reset(shop.device, actor=STAFF, reason="lost")
    assert types(told) == expected


def test_several_endpoints_are_told_under_one_id(shop, told):
    second = endpoint(shop.storefront, "/second")
    shop.open()
    assert types(told) == types(second) == ["redemption.pending"]
    assert len(set(Webhook.objects.values_list("message_id", flat=True))) == 1


def test_endpoint_that_staff_switched_off_is_told_nothing(shop, told):
    webhook_endpoints.update(told, actor=STAFF, changes={"is_active": False})
    shop.open()
    assert types(told) == []


def test_endpoint_that_the_machine_disabled_gets_dead_letters(shop, told, unpublished):
    WebhookEndpoint.objects.update(disabled_at=now(), disabled_reason="dead")
    shop.open()
    row = Webhook.objects.get()
    assert (row.status, row.reason) == ("failed", "endpoint_disabled")
    assert jobs.PUSH not in [name for name, *_args in unpublished]


@pytest.mark.parametrize("is_test", [True, False])
def test_test_campaign_says_so(is_test):
    shop = factories.Shop(test=is_test)
    endpoint(shop.storefront)
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    assert set(Webhook.objects.values_list("type", "test")) == {
        ("redemption.pending", is_test),
        ("challenge.approved", is_test),
        ("redemption.approved", is_test),
        ("redemption.completed", is_test),
    }


# --- with what


def test_change_that_is_rolled_back_tells_nothing(shop, told, unpublished):
    with transaction.atomic():
        trail = Trail(WORKER, now())
        trail.add("device.revoked", shop.device)
        trail.write()
        assert Webhook.objects.count() == 1
        transaction.set_rollback(True)
    assert not Webhook.objects.exists()
    assert unpublished == []


def test_change_that_lost_its_race_tells_nothing(shop, told):
    redemption = shop.open()
    before = stored()["Webhook"]
    outdated = Redemption.objects.get()
    Redemption.objects.update(version=7)
    with pytest.raises(TransitionRefused), transaction.atomic():
        outdated.move(at=now(), status="cancelled")
    assert stored()["Webhook"] == before
    assert redemption.pk == outdated.pk


@pytest.mark.django_db(transaction=True)
def test_worker_is_told_of_the_endpoint_after_the_commit(shop, told, unpublished):
    shop.open()
    assert [args for args in unpublished if args[0] == jobs.PUSH] == [(jobs.PUSH, told.pk)]


@pytest.mark.django_db(transaction=True)
def test_without_an_endpoint_no_job_is_published_and_no_row_is_stored(shop, unpublished):
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    assert jobs.PUSH not in [name for name, *_args in unpublished]
    assert not Webhook.objects.exists()


def test_storefront_without_an_endpoint_pays_nothing_in_its_requests(shop, sql, monkeypatch):
    storefronts.authenticate(factories.key(shop.storefront))
    trail = Trail(WORKER, now())
    trail.add("redemption.approved", shop.open())
    with sql() as executed:
        trail.write()
    assert "twofa_webhook" not in str(executed)


def test_endpoint_that_was_added_is_told_from_the_next_request_on(shop):
    text = factories.key(shop.storefront)
    storefronts.authenticate(text)
    told = endpoint(shop.storefront)
    storefronts.authenticate(text)
    shop.open()
    assert types(told) == ["redemption.pending"]


def test_endpoint_that_was_added_is_told_without_a_request(shop, monkeypatch):
    """By the sweeper, or by staff, in a process that read the storefront's key a moment ago."""
    monkeypatch.setattr(announcing, "SILENCE", 0.05)
    storefronts.authenticate(factories.key(shop.storefront))
    told = endpoint(shop.storefront)
    time.sleep(0.1)
    shop.open()
    assert types(told) == ["redemption.pending"]


def test_webhooks_cost_no_statement_of_their_own(shop, told, sql):
    trail = Trail(WORKER, now())
    trail.add("redemption.approved", shop.open())
    with sql() as executed:
        trail.write()
    if connection.vendor == "postgresql":
        assert len(executed) == 1, str(executed)
    assert Webhook.objects.filter(type="redemption.approved").count() == 1


def test_nothing_personal_is_in_any_body(shop, told, documents_folder):
    redemption = shop.open(description="Headphones for Ana")
    confirm(shop, redemption, token := token_of(redemption.challenge))
    devices.reset(shop.device, actor=STAFF, reason="Ana rang")
    bodies = " ".join(row.body() for row in Webhook.objects.all())
    assert "redemption.completed" in bodies
    for text in (
        token,
        shop.device.address,
        shop.device.destination,
        "Ana",
        "Headphones",
        shop.participant.external_id,
    ):
        assert text not in bodies


def test_subjects_are_the_first_words():
    assert set(SUBJECTS) == {type_.partition(".")[0] for type_ in WEBHOOKS}


def test_refusal_tells_nothing(shop, told):
    with refused(Exception):
        shop.open(participant="nobody")
