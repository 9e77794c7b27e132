from __future__ import annotations

import pytest

from tests import factories
from tests.models.violations import violates
from twofa.models import KINDS, MESSAGES, Campaign, MessageTemplate, is_token
from twofa.models.clock import now
from twofa.models.message import is_switched_on

ABOUT_FACTORS = ("device", "participant", "authenticator", "recovery_codes")


def test_every_message_goes_out_unless_it_is_switched_but_for_completions():
    off = {event for event in KINDS for channel in ("sms", "email") if not Campaign().sends(event, channel)}

    assert off == {"redemption.completed"}
    assert {event for event, kind in KINDS.items() if kind.is_alarm} == {
        event for event in KINDS if event.partition(".")[0] in ABOUT_FACTORS and not is_token(event)
    }
    assert MESSAGES.keys() == KINDS.keys()


def test_switch_is_for_one_message_on_one_channel():
    switches = {"login.token/sms": False, "redemption.completed/email": True}

    assert not is_switched_on(switches, "login.token", "sms")
    assert is_switched_on(switches, "login.token", "email")
    assert is_switched_on(switches, "redemption.completed", "email")
    assert not is_switched_on(switches, "redemption.completed", "sms")
    # One that this release does not know is not held back.
    assert is_switched_on(switches, "something.new", "sms")


@pytest.mark.django_db
def test_text_is_one_for_each_message_channel_and_language():
    campaign = factories.campaign()
    key = {"campaign": campaign, "event": "login.token", "channel": "sms", "locale": "es"}
    MessageTemplate.objects.create(**key, text="{{ token }}", updated_at=now())
    with violates("twofa_message_template_unique"):
        MessageTemplate.objects.create(**key, text="x", updated_at=now())
    MessageTemplate.objects.create(**{**key, "locale": "en"}, text="x", updated_at=now())
