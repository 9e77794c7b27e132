"""Staff see who took a message, and what became of it."""

from __future__ import annotations

import json

import pytest

from tests import factories
from tests.flows.channels import SETTING, ScriptedChannel
from tests.stories import STAFF, deliver_due
from twofa.channels import Callback, Receipt
from twofa.flows import devices, receipts
from twofa.models import Delivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def reported(settings, db):
    """A redemption whose message a provider took, and reported as failed."""
    settings.TWOFA_CHANNELS = {**SETTING, "sms": {"BACKEND": "tests.flows.test_receipts.ReportingChannel"}}
    redemption = factories.Shop().open()
    ScriptedChannel.follow(Receipt("m-4711", provider="two"))
    deliver_due()
    body = {"status": "failed", "provider_message_id": "m-4711", "reason": "recipient_unreachable"}
    receipts.receive("sms", Callback(body=json.dumps(body).encode(), provider="two"))
    return redemption


def test_timeline_names_the_provider_and_its_reason(boss, reported):
    page = boss.get(f"/admin/twofa/redemption/{reported.pk}/change/").content.decode()

    assert "two m-4711" in page
    assert "two (provider)" in page
    assert "the recipient&#x27;s phone cannot be reached" in page
    assert "recipient_unreachable" not in page


def test_page_of_a_delivery_names_the_provider(boss, reported):
    page = boss.get(f"/admin/twofa/delivery/{Delivery.objects.get().pk}/change/").content.decode()

    assert ">two<" in page
    assert "m-4711" in page


def test_page_of_a_notice_tells_what_became_of_it(boss):
    shop = factories.Shop()
    email = factories.device(shop.participant, channel="email", address="ana@example.com")
    devices.reset(email, actor=STAFF, reason="lost")
    deliver_due()
    notice = Delivery.objects.filter(challenge=None).latest("pk")

    page = boss.get(f"/admin/twofa/delivery/{notice.pk}/change/").content.decode()

    assert "Message accepted by the provider" in page
