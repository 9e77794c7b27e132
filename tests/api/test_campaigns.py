from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests import factories
from tests.api.client import refused
from twofa.models import Campaign, Storefront


def test_campaign_shows_its_policy(api, shop):
    shop.campaign.threshold, shop.campaign.approver_threshold = Decimal(500), Decimal(9000)
    shop.campaign.save()

    body = api.get(f"/campaigns/{shop.campaign.slug}/").json()

    assert body == {
        "slug": shop.campaign.slug,
        "name": shop.campaign.name,
        "unit": "points",
        "test": False,
        "two_factor": {
            "mode": "required",
            "threshold": "500.00",
            "approver_threshold": "9000.00",
            "channels": ["sms", "whatsapp", "email"],
            "token_length": 6,
            "token_alphabet": "alphanumeric",
            "max_attempts": 5,
        },
        "completion_mode": "sync",
        "schedule_max_ahead": 90 * 86_400,
        "identity_required": False,
        "required_documents": [],
    }


@pytest.mark.parametrize(
    ("of_storefront", "of_campaign", "shown"),
    [("", "sync", "sync"), ("", "async", "async"), ("sync", "async", "sync"), ("async", "sync", "async")],
)
def test_completion_mode_is_that_of_the_storefront_that_asks(api, shop, of_storefront, of_campaign, shown):
    Campaign.objects.update(completion_mode=of_campaign)
    Storefront.objects.filter(pk=shop.storefront.pk).update(completion_mode=of_storefront)

    assert api.get(f"/campaigns/{shop.campaign.slug}/").json()["completion_mode"] == shown
    assert api.get("/campaigns/").json()["results"][0]["completion_mode"] == shown


@pytest.mark.parametrize(("ahead", "seconds"), [(timedelta(0), 0), (timedelta(hours=36), 129_600)])
def test_what_may_be_scheduled_is_told_in_seconds(api, shop, ahead, seconds):
    Campaign.objects.update(schedule_max_ahead=ahead)

    assert api.get(f"/campaigns/{shop.campaign.slug}/").json()["schedule_max_ahead"] == seconds


def test_list_has_the_served_campaigns_only_newest_first(api, shop):
    newer = factories.campaign()
    shop.storefront.campaigns.add(newer)
    factories.campaign()

    body = api.get("/campaigns/").json()

    assert [campaign["slug"] for campaign in body["results"]] == [newer.slug, shop.campaign.slug]
    assert (body["next"], body["previous"]) == (None, None)


def test_unknown_foreign_and_malformed_slugs_are_one_answer(api):
    foreign = factories.campaign().slug

    answers = [
        refused(api.get(f"/campaigns/{slug}/"), 404, "not_found") for slug in ("nobody", foreign, "%00", "a%20b")
    ]

    for answer in answers:
        answer.pop("correlation_id")
    assert answers == [answers[0]] * 4
    assert "resource" not in answers[0]


def test_list_costs_the_same_at_every_size(api, shop, sql):
    with sql() as few:
        api.get("/campaigns/")
    shop.storefront.campaigns.add(*(factories.campaign() for _ in range(5)))
    with sql() as many:
        api.get("/campaigns/")

    # The first request of a key also notes that it was used.
    assert len(many) == len(few) - 1 == 2
