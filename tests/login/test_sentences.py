"""What pages say where the API's details speak to developers."""

from __future__ import annotations

import pytest

from twofa.contrib.login.sentences import told
from twofa.exceptions import (
    AttemptsExhausted,
    ChallengeClosed,
    OnboardingIncomplete,
    ResendCooldown,
    Throttled,
    TokenExpired,
    TwoFactorError,
)
from twofa.flows.next_actions import HELD, NextAction
from twofa.models.clock import now

ONBOARDING = NextAction("onboarding")


def lacking(missing: str, step: NextAction) -> OnboardingIncomplete:
    return OnboardingIncomplete(missing=[missing], next_action=step)


@pytest.mark.django_db
def test_cooling_device_is_told_as_one_that_will_do_later():
    assert "Try again later" in str(told(lacking("device", NextAction("wait", available_at=now()))))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (lacking("device", ONBOARDING), "You have no device that a token could go to. Ask the staff."),
        (lacking("device", HELD), "Your device is on hold until the staff release it. Ask them."),
        (lacking("identity", ONBOARDING), "Your registration is not complete. Ask the staff."),
        (OnboardingIncomplete("Said here."), "Said here."),
        (AttemptsExhausted(), "Too many wrong tokens."),
        (ChallengeClosed(), "It took too long, or something changed meanwhile."),
        (ResendCooldown(29), "Wait 29 seconds, then try again."),
        (Throttled(1), "Wait 1 second, then try again."),
        (Throttled(61), "Wait 2 minutes, then try again."),
        (Throttled(None), str(Throttled.default_detail)),
        (TokenExpired(), str(TokenExpired.default_detail)),
    ],
)
def test_refusal_says_what_to_do_now(error: TwoFactorError, sentence: str):
    assert str(told(error)) == sentence
