"""Notices of what became of redemptions and documents: in the same commit, within the budgets, and off for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories, papers
from tests.factories import Shop, token_of
from tests.stories import STAFF, confirm, deliver_due, points, reject
from twofa.channels.memory import outbox
from twofa.flows import messages
from twofa.models import Channel, Delivery, Event

pytestmark = pytest.mark.django_db


def telling(**policy: Any) -> Shop:
    """A shop whose campaign tells of completions."""
    shop = Shop(**policy)
    for channel in Channel.values:
        messages.switch(shop.campaign, actor=STAFF, event="redemption.completed", channel=channel, is_on=True)
    return shop


def complete(shop: Shop) -> Any:
    redemption = shop.open()
    deliver_due()
    return confirm(shop, redemption, token_of(redemption.challenge))


def notices() -> list[tuple[str, str]]:
    return list(Delivery.objects.filter(challenge=None).order_by("pk").values_list("event", "channel"))


def test_completion_is_told_where_staff_switched_it_on():
    shop = telling()
    complete(shop)
    deliver_due()

    assert notices() == [("redemption.completed", "sms")]
    assert '150 points were spent on "Headphones"' in outbox[-1].text
    assert outbox[-1].token == ""
    assert outbox[-1].recipient == shop.device.address


@pytest.mark.postgres
def test_completion_is_not_told_by_default_and_costs_nothing(sql):
    shop = Shop()
    redemption = shop.open()
    deliver_due()
    token = token_of(redemption.challenge)
    with sql() as statements:
        confirm(shop, redemption, token)

    assert notices() == []
    # The budgets of the API are its own tests; here: as many as before there were notices.
    assert len(statements) == 8, str(statements)


def test_too_many_wrong_tokens_are_told():
    shop = Shop()
    redemption = shop.open()
    deliver_due()
    reject(shop, redemption, shop.campaign.max_attempts)
    deliver_due()

    assert points(redemption) == ("rejected", "released")
    assert notices() == [("redemption.rejected", "sms")]
    assert "too many wrong tokens" in outbox[-1].text


def test_wrong_token_by_itself_is_not_told():
    shop = Shop()
    redemption = shop.open()
    deliver_due()
    reject(shop, redemption, 1)

    assert notices() == []


def test_notice_goes_to_the_default_device_or_to_the_next_one_that_has_it_on():
    shop = telling()
    factories.device(shop.participant, "email")
    complete(shop)
    messages.switch(shop.campaign, actor=STAFF, event="redemption.completed", channel="sms", is_on=False)
    complete(shop)

    assert notices() == [("redemption.completed", "sms"), ("redemption.completed", "email")]


def test_notice_over_a_budget_is_dropped_with_an_event_and_the_redemption_stands():
    shop = telling(sends_per_participant_per_day=1)
    redemption = complete(shop)

    assert points(redemption) == ("completed", "completed")
    assert notices() == []
    (event,) = Event.objects.filter(type="notice.dropped")
    assert event.data == {"message": "redemption.completed", "channel": "sms", "reason": "send_budget"}
    assert (event.redemption_id, event.participant_id) == (redemption.pk, shop.participant.pk)


def test_notice_without_a_device_is_none():
    shop = telling(two_factor_mode="off")
    shop.device.delete()
    redemption = shop.open()

    assert points(redemption) == ("completed", "completed")
    assert notices() == []
    assert not Event.objects.filter(type="notice.dropped").exists()


@pytest.mark.parametrize("approve", [True, False])
def test_decision_about_a_document_is_told_without_a_word_of_staff(documents_folder, approve: bool):
    shop = Shop()
    why = {} if approve else {"reason": "unreadable", "comment": "Ugly.", "internal_comment": "Liar."}
    papers.decide(papers.submitted(shop.participant, "cnh", "front"), approve=approve, **why)
    deliver_due()

    (row,) = Delivery.objects.filter(challenge=None)
    assert row.event == ("document.approved" if approve else "document.rejected")
    assert row.context == {"document": "cnh", "reason": "" if approve else "unreadable"}
    assert ("cannot be read" in outbox[-1].text) != approve
    assert "Ugly" not in outbox[-1].text
    assert "Liar" not in outbox[-1].text


def test_decision_is_not_told_where_staff_switched_it_off(documents_folder):
    shop = Shop()
    for channel in Channel.values:
        messages.switch(shop.campaign, actor=STAFF, event="document.rejected", channel=channel, is_on=False)
    papers.decide(papers.submitted(shop.participant, "cnh", "front"), approve=False, reason="unreadable")

    assert notices() == []
