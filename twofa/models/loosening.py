"""Which direction of each policy column is looser: what a second person must agree to where four eyes are asked for.

Looser means: somebody is asked for a token less often, a token is easier to guess or to intercept, or whoever abuses
the campaign gets more out of it before a limit stops them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from twofa.models.policy import Method, TwoFactorMode
from twofa.tokens import ALPHABETS

Policy = Mapping[str, Any]
Rule = Callable[[Policy, Policy], bool]
_NEVER = Decimal("Infinity")


def _asks_less(before: Policy, after: Policy) -> bool:
    """Tell whether some redemption that was asked for a token is not asked any more.

    Mode and threshold only mean something together: a threshold exempts where the mode is "required", and demands where
    it is "optional". So both are turned into the least amount from which a participant is asked.
    """
    return any(now > then for then, now in zip(_asked_from(before), _asked_from(after), strict=True))


def _asked_from(policy: Policy) -> tuple[Decimal, Decimal]:
    """Return from which amount on those are asked who chose a method, and those who did not."""
    threshold = policy["threshold"]
    if policy["two_factor_mode"] == TwoFactorMode.REQUIRED:
        least = Decimal(0) if threshold is None else threshold
        return least, least
    if policy["two_factor_mode"] == TwoFactorMode.OPTIONAL:
        return Decimal(0), _NEVER if threshold is None else threshold
    return _NEVER, _NEVER


def _fewer_tokens(before: Policy, after: Policy) -> bool:
    """Tell whether a token is guessed sooner: alphabet and length only mean something together."""
    return _token_space(after) < _token_space(before)


def _token_space(policy: Policy) -> int:
    return int(len(ALPHABETS[policy["token_alphabet"]]) ** policy["token_length"])


def _raised(column: str) -> Rule:
    """Looser is more; no limit at all is most."""

    def raised(before: Policy, after: Policy) -> bool:
        if before[column] is None:
            return False
        return bool(after[column] is None or after[column] > before[column])

    return raised


def _lowered(column: str) -> Rule:
    return lambda before, after: bool(after[column] < before[column])


def _added(column: str) -> Rule:
    return lambda before, after: not set(after[column]) <= set(before[column])


def _removed(column: str) -> Rule:
    return lambda before, after: not set(before[column]) <= set(after[column])


def _more_countries(before: Policy, after: Policy) -> bool:
    """Tell whether messages may go to more places; an empty list allows all of them."""
    if not before["allowed_countries"]:
        return False
    return not after["allowed_countries"] or not set(after["allowed_countries"]) <= set(before["allowed_countries"])


def _neutral(_before: Policy, _after: Policy) -> bool:
    return False


LOOSENS: dict[str, Rule] = {
    "two_factor_mode": _asks_less,
    "threshold": _asks_less,
    "default_method": lambda before, after: (
        after["default_method"] == Method.NONE and before["default_method"] != Method.NONE
    ),
    # Another order of failover uses the same channels.
    "allowed_channels": _added("allowed_channels"),
    # People who are used to links in an SMS of ours follow those of others: a lure for tokens looks like this.
    "links_in_messages": _raised("links_in_messages"),
    "token_length": _fewer_tokens,
    "token_alphabet": _fewer_tokens,
    "token_ttl": _raised("token_ttl"),
    "max_attempts": _raised("max_attempts"),
    "max_resends": _raised("max_resends"),
    "resend_cooldown": _lowered("resend_cooldown"),
    "redemption_ttl": _raised("redemption_ttl"),
    "max_open_challenges": _raised("max_open_challenges"),
    "failed_attempts_per_day": _raised("failed_attempts_per_day"),
    "sends_per_destination_per_day": _raised("sends_per_destination_per_day"),
    "sends_per_participant_per_day": _raised("sends_per_participant_per_day"),
    "sends_per_campaign_per_day": _raised("sends_per_campaign_per_day"),
    "sends_per_prefix_per_day": _raised("sends_per_prefix_per_day"),
    "sms_per_day": _raised("sms_per_day"),
    "identity_required": _lowered("identity_required"),
    "required_documents": _removed("required_documents"),
    "device_cooling_off": _lowered("device_cooling_off"),
    # The code of an app says nothing of the order: whoever is told one may use it for any.
    "unbound_devices_approve": _raised("unbound_devices_approve"),
    "allowed_countries": _more_countries,
    "approver_threshold": _raised("approver_threshold"),
    # How far ahead something is planned, and how late it may be: the same people have approved the same thing.
    "schedule_max_ahead": _neutral,
    "schedule_grace": _neutral,
    # A phone offers the token on pages of this domain: on another one it would hand it to whoever owns that.
    "autofill_domain": lambda before, after: after["autofill_domain"] != "",
    # When the points are spent, what they are called, and whether the campaign is active: none weakens the factor.
    "completion_mode": _neutral,
    "unit": _neutral,
    "is_active": _neutral,
}
"""Column -> whether the second policy is looser in it than the first. Every column of the policy is named here."""


def loosened(before: Policy, after: Policy) -> list[str]:
    """Return the changed columns in which ``after`` is looser than ``before``; both are whole policies."""
    return [name for name, loosens in LOOSENS.items() if before[name] != after[name] and loosens(before, after)]
