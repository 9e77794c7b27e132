"""The sentence at the top of a redemption's page: why it is where it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from tests import factories
from tests.admin.conftest import page
from tests.factories import token_of
from tests.flows.channels import SETTING, ScriptedChannel
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, cancel, confirm, deliver_due, reject, resend, tamper, travel
from twofa.admin import explanations, stories
from twofa.channels import DeliveryError
from twofa.exceptions import RedemptionRefused, TemporaryFailure, TokenSuperseded, TransactionChanged
from twofa.flows import denials, devices, parked_completions, redemptions
from twofa.models import Redemption

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> factories.Shop:
    RecordingBackend.reset()
    return factories.Shop()


def told(redemption: Redemption) -> str:
    return explanations.outcome(stories.read(Redemption.objects.get(pk=redemption.pk)))


def fail(method: str, *errors: Exception) -> None:
    RecordingBackend.failures[method] = iter(errors)


def test_open_one_says_until_when_and_how_many_tries_are_left(shop: factories.Shop):
    redemption = shop.open()
    assert told(redemption).endswith("0 of 5 attempts are used. Its last message has not been sent yet.")

    deliver_due()
    reject(shop, redemption, 2)

    assert "2 of 5 attempts are used. The provider accepted its last message on" in told(redemption)


def test_message_that_never_left_is_part_of_the_answer(shop: factories.Shop, settings: Any):
    settings.TWOFA_CHANNELS = SETTING
    ScriptedChannel.follow(DeliveryError("recipient_refused", retryable=False))
    redemption = shop.open()
    deliver_due()

    assert told(redemption).endswith("Its last message was not sent: the provider refused the recipient.")


def test_rejected_one_says_when_how_often_and_from_whom(shop: factories.Shop):
    redemption = shop.open()
    reject(shop, redemption, 5)

    assert told(redemption).startswith("Rejected on 20")
    assert told(redemption).endswith(f"5 wrong tokens, the last from {shop.storefront.name} (storefront).")


def test_rejected_one_says_that_it_was_not_them(shop: factories.Shop):
    other = factories.Shop()
    plain, hesitant = shop.open(), other.open()
    reject(other, hesitant, 2)
    for redemption in (plain, hesitant):
        denials.deny(*factories.link_of(redemption.challenge))

    assert told(plain).endswith(": whoever got the message said that it was not them.")
    assert told(hesitant).endswith(": whoever got the message said that it was not them. 2 wrong ones were typed.")


def test_tokens_that_a_newer_message_replaced_are_told(shop: factories.Shop):
    redemption = shop.open()
    old = token_of(redemption.challenge)
    travel(timedelta(seconds=31))
    resend(shop, redemption)
    with pytest.raises(TokenSuperseded):
        confirm(shop, redemption, old)
    reject(shop, redemption, 4)

    assert told(redemption).endswith("1 of them was right once, but a newer message had replaced it.")


def test_expired_one_says_what_did_not_come(shop: factories.Shop):
    redemption = shop.open()
    deliver_due()
    reject(shop, redemption, 1)
    travel(timedelta(minutes=31))
    redemptions.expire(redemption.pk)

    text = told(redemption)

    assert "the right token did not come within 30 minutes. 1 wrong one was typed. The provider accepted" in text


def test_cancelled_one_says_by_whom_and_why(shop: factories.Shop):
    by_storefront = shop.open()
    cancel(shop, by_storefront)
    by_staff = shop.open()
    redemptions.cancel(by_staff.pk, storefront=None, actor=STAFF, reason="The participant called.")
    changed = shop.open()
    tamper(changed, amount="1.00")
    with pytest.raises(TransactionChanged):
        confirm(shop, changed, token_of(changed.challenge))
    with_device = shop.open()
    devices.reset(shop.device, actor=STAFF, reason="Lost.")

    assert told(by_storefront).endswith(f" by {shop.storefront.name} (storefront).")
    assert told(by_staff).endswith(" by maria (staff): The participant called.")
    assert told(with_device).endswith(" by maria (staff): its device was revoked")
    assert "the stored row was not what the token was issued for" in told(changed)


def test_cancelled_one_without_its_events_still_says_why(shop: factories.Shop):
    redemption = shop.open()
    devices.reset(shop.device, actor=STAFF, reason="Lost.")
    row = Redemption.objects.get()

    text = explanations.outcome(explanations.Story(row, redemption.challenge, [], []))

    assert text.endswith(": its device was revoked.")


def test_one_that_a_remote_ledger_refused_says_so(settings: Any, shop: factories.Shop):
    settings.TWOFA_FULFILLMENT_BACKEND = "tests.fulfillment.RemoteBackend"
    fail("reserve", RedemptionRefused("insufficient_points"))
    with pytest.raises(RedemptionRefused):
        shop.open()

    text = told(Redemption.objects.get())
    assert text.endswith("because the points system refused it: not enough points.")


def test_completed_one_says_by_what(shop: factories.Shop):
    plain, hesitant = shop.open(), shop.open()
    confirm(shop, plain, token_of(plain.challenge))
    reject(shop, hesitant, 2)
    confirm(shop, hesitant, token_of(hesitant.challenge))
    exempt = factories.Shop(two_factor_mode="off").open()

    assert told(plain).endswith(": the right token came.")
    assert told(hesitant).endswith(": the right token came. 2 wrong ones were typed.")
    assert told(exempt).endswith(" without a token.")


def test_parked_one_says_what_staff_must_do_and_a_failed_one_who_did_it(settings: Any, shop: factories.Shop):
    settings.TWOFA_COMPLETION_MAX_TRIES = 1
    fail("complete", TemporaryFailure())
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    assert told(redemption).startswith("Waits for staff since ")
    assert "Nobody knows whether the points were spent" in told(redemption)

    parked_completions.fail(redemption.pk, actor=STAFF, reason="They were not spent.")

    assert told(redemption).endswith(" by maria (staff): They were not spent.")


def test_approved_one_says_when_the_next_try_is(shop: factories.Shop):
    fail("complete", TemporaryFailure())
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))

    assert "its points are not spent yet, the next try is due on 20" in told(redemption)


def test_refused_completion_says_why(shop: factories.Shop):
    fail("complete", RedemptionRefused("no_such_account"))
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))

    assert told(redemption).endswith("because its points could not be spent: no such account.")


def test_rejected_one_without_its_events_still_says_why(shop: factories.Shop):
    redemption = shop.open()
    reject(shop, redemption, 5)
    row = Redemption.objects.get()

    text = explanations.outcome(explanations.Story(row, redemption.challenge, [], []))

    assert text.endswith(": too many wrong tokens were typed.")


@pytest.mark.parametrize("language", ["en", "pt-br", "es"])
@pytest.mark.parametrize("status", Redemption.Status.values)
def test_every_status_has_an_answer_without_any_event(status: str, language: str, shop: factories.Shop):
    """As in a row whose events were purged, or that was moved here from elsewhere."""
    redemption = shop.open()
    redemption.status = status
    for challenge in (redemption.challenge, None):
        with translation.override(language):
            text = explanations.outcome(explanations.Story(redemption, challenge, [], []))
        assert "%" not in text
        assert text or (status == Redemption.Status.PENDING and challenge is None)


def test_page_leads_with_the_answer_and_links_the_policy(shop: factories.Shop, boss: Client):
    from_form = {"two_factor_mode": "optional", "policy_version": shop.campaign.policy_version}
    boss.post(page("campaign", "two-factor", shop.campaign.pk), from_form)
    from_form = {"two_factor_mode": "required", "policy_version": 2}
    boss.post(page("campaign", "two-factor", shop.campaign.pk), from_form)
    redemption = shop.open()

    lead = boss.get(page("redemption", "change", redemption.pk)).context["lead"]

    answer, decision, points = lead
    assert str(answer[0].text).startswith("Waits for its token until")
    assert [str(cell.text) for cell in decision] == [
        "A token was asked for because the campaign requires it;",
        "policy version 3.",
    ]
    assert boss.get(decision[1].url).status_code == 200
    assert "→ required" in boss.get(decision[1].url).content.decode()
    assert [str(cell.text) for cell in points] == ["Points: set aside: neither spent nor free."]


def test_policy_is_not_linked_for_those_who_may_not_look_at_events(shop: factories.Shop, staff: Any):
    client = staff("view_redemption")

    lead = client.get(page("redemption", "change", shop.open().pk)).context["lead"]

    assert [cell.url for line in lead for cell in line] == [""] * 4
