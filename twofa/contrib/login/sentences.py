"""Refusals as whoever signs in can use them: the details of errors speak to those who call the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofa.exceptions import (
    AttemptsExhausted,
    ChallengeClosed,
    OnboardingIncomplete,
    ResendCooldown,
    Throttled,
    TwoFactorError,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_MINUTE = 60


def told(error: TwoFactorError) -> StrOrPromise:
    """Return what happened, and what to do now."""
    if isinstance(error, ChallengeClosed):
        return _("It took too long, or something changed meanwhile.")
    if isinstance(error, AttemptsExhausted):
        return _("Too many wrong tokens.")
    if isinstance(error, OnboardingIncomplete) and "missing" in error.params:
        return _lacking(error)
    if isinstance(error, ResendCooldown | Throttled) and error.retry_after is not None:
        return _paused(error.retry_after)
    return error.detail


def _lacking(error: OnboardingIncomplete) -> StrOrPromise:
    if error.params["missing"] != ["device"]:
        return _("Your registration is not complete. Ask the staff.")
    step = error.params["next_action"]
    if step.type != "wait":
        return _("You have no device that a token could go to. Ask the staff.")
    if step.available_at is not None:
        return _("Your new device cannot be used yet. Try again later.")
    return _("Your device is on hold until the staff release it. Ask them.")


def _paused(seconds: int) -> str:
    if seconds <= _MINUTE:
        text = ngettext("Wait %(count)d second, then try again.", "Wait %(count)d seconds, then try again.", seconds)
        return text % {"count": seconds}
    minutes = -(-seconds // _MINUTE)
    text = ngettext("Wait %(count)d minute, then try again.", "Wait %(count)d minutes, then try again.", minutes)
    return text % {"count": minutes}
