"""An external id is a short text of one campaign: whoever is erased takes nothing of anybody else with them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.api.client import Api
from tests.stories import STAFF, cancel, deliver_due, travel
from twofa.flows import audits, device_logins, erasures, exports, seals
from twofa.models import Event, IdempotencyRecord, Participant, StorefrontKey
from twofa.models.clock import now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documents_folder")]


def erased(participant: Participant) -> erasures.Erasure:
    return erasures.erase(participant, actor=STAFF, reason="request 17")


def called(shop: factories.Shop, external_id: str) -> factories.Shop:
    shop.participant.external_id = external_id
    shop.participant.save()
    return shop


def api_of(shop: factories.Shop) -> Api:
    """Return a client with a key of its own; two of a storefront may be live."""
    StorefrontKey.objects.filter(storefront=shop.storefront).delete()
    return Api(factories.key(shop.storefront))


def registers(shop: factories.Shop, external_id: str, key: str) -> None:
    path = f"/campaigns/{shop.campaign.slug}/participants/{external_id}/devices/"
    body = {"channel": "email", "address": f"{key}@example.org"}
    assert api_of(shop).post(path, body, idempotency_key=key).status_code == 201


def redeems(shop: factories.Shop, key: str) -> None:
    body = {
        "participant": shop.participant.external_id,
        "order_id": f"order-{key}",
        "amount": "10.00",
        "description": "Headphones",
    }
    path = f"/campaigns/{shop.campaign.slug}/redemptions/"
    assert api_of(shop).post(path, body, idempotency_key=key).status_code == 201


def keys() -> set[str]:
    return {record.key for record in IdempotencyRecord.objects.all()}


def test_what_is_another_s_stays_however_short_the_id_is(shop, documents_folder):
    api = Api(factories.key(shop.storefront))
    one, other = (factories.participant(shop.campaign, external_id=name) for name in ("1", "12"))
    for row in (one, other):
        path = f"/campaigns/{shop.campaign.slug}/participants/{row.external_id}/devices/"
        body = {"channel": "email", "address": f"ana{row.external_id}@example.org"}
        assert api.post(path, body, idempotency_key=f"register-{row.external_id}").status_code == 201
    exports.record(actor=STAFF, filters=["q=1", "q=12", "created_at__gte=2026-01-01"], rows=1)
    erasures.erase(one, actor=STAFF, reason="request 17")
    assert [record.key for record in IdempotencyRecord.objects.all()] == ["register-12"]
    assert Event.objects.get(type="redemptions.exported").data["filters"] == ["", "q=12", "created_at__gte=2026-01-01"]


@pytest.mark.parametrize("word", ["status", "points", "email", "verify"])
def test_id_that_is_a_word_of_every_answer_takes_no_answer_of_others(shop, word):
    registers(shop, shop.participant.external_id, "other")
    redeems(shop, f"buy-{word}")
    registers(shop, factories.participant(shop.campaign, external_id=word).external_id, "own")
    erased(Participant.objects.get(external_id=word))
    assert keys() == {"other", f"buy-{word}"}


def test_same_id_in_another_campaign_keeps_its_answers_and_its_events():
    """Of a campaign of the same storefront, too."""
    one, two = called(factories.Shop(), "1001"), called(factories.Shop(), "1001")
    one.storefront.campaigns.add(two.campaign)
    for shop, key in ((one, "one"), (two, "two")):
        shop.storefront = one.storefront
        redeems(shop, key)
        registers(shop, "1001", f"{key}-device")
        deliver_due()
    cancel(one, one.participant.redemptions.get())
    login = factories.login_challenge(two)
    device_logins.answer_login(two.device, factories.wrong_token(login))
    travel(timedelta(hours=1))
    seals.seal(now())
    before = list(Event.objects.filter(participant=two.participant.pk).order_by("pk").values())
    assert any(event["actor"] == "1001" for event in before)
    erased(one.participant)
    assert keys() == {"two", "two-device"}
    assert list(Event.objects.filter(participant=two.participant.pk).order_by("pk").values()) == before
    assert list(audits.Audit().findings()) == []


@pytest.mark.parametrize("external_id", ["7", "completed", "status"])
def test_filter_whose_value_happens_to_be_the_id_stays(shop, external_id):
    told = ["participant__id__exact=7", "q=victim", "status=completed"]
    exports.record(actor=STAFF, filters=told, rows=9)
    erased(factories.participant(shop.campaign, external_id=external_id))
    assert Event.objects.get(type="redemptions.exported").data["filters"] == told
