from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from twofa.flows.decisions import decide
from twofa.models import POLICY_FIELDS, Campaign, Participant
from twofa.models.loosening import LOOSENS, loosened


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is looser when these columns change, all others being the defaults of a campaign that requires a factor."""
    base = {"two_factor_mode": "required", **before}
    return loosened(Campaign(**base).policy(), Campaign(**{**base, **after}).policy())


def test_every_column_of_the_policy_has_a_direction():
    """A column that somebody adds must be thought about here."""
    assert set(LOOSENS) == set(POLICY_FIELDS)


LOOSER = [
    ({}, {"two_factor_mode": "off"}),
    ({}, {"two_factor_mode": "optional"}),
    ({"two_factor_mode": "optional"}, {"two_factor_mode": "off"}),
    ({}, {"threshold": Decimal(1)}),
    ({"threshold": Decimal(100)}, {"threshold": Decimal("100.01")}),
    ({"two_factor_mode": "optional", "threshold": Decimal(100)}, {"threshold": None}),
    ({"default_method": "sms"}, {"default_method": "none"}),
    ({"allowed_channels": ["sms"]}, {"allowed_channels": ["sms", "email"]}),
    ({"allowed_channels": ["sms"]}, {"allowed_channels": ["email"]}),
    ({}, {"token_length": 5}),
    ({}, {"token_alphabet": "numeric"}),
    ({"token_ttl": timedelta(minutes=2)}, {"token_ttl": timedelta(minutes=2, seconds=1)}),
    ({"max_attempts": 3}, {"max_attempts": 4}),
    ({}, {"max_resends": 4}),
    ({}, {"resend_cooldown": timedelta(seconds=29)}),
    ({}, {"redemption_ttl": timedelta(minutes=31)}),
    ({}, {"max_open_challenges": 4}),
    ({}, {"failed_attempts_per_day": 16}),
    ({}, {"sends_per_destination_per_day": 51}),
    ({}, {"sends_per_participant_per_day": 51}),
    ({"sends_per_campaign_per_day": 5}, {"sends_per_campaign_per_day": 6}),
    ({"sends_per_campaign_per_day": 5}, {"sends_per_campaign_per_day": None}),
    ({"identity_required": True}, {"identity_required": False}),
    ({"required_documents": ["rg", "selfie"]}, {"required_documents": ["rg"]}),
    ({"device_cooling_off": timedelta(days=2)}, {"device_cooling_off": timedelta(days=1)}),
    ({"allowed_countries": ["BR"]}, {"allowed_countries": ["BR", "AR"]}),
    ({"allowed_countries": ["BR"]}, {"allowed_countries": []}),
    ({"approver_threshold": Decimal(100)}, {"approver_threshold": Decimal("100.01")}),
    ({"approver_threshold": Decimal(100)}, {"approver_threshold": None}),
    ({}, {"autofill_domain": "shop.example.com"}),
]


@pytest.mark.parametrize(("before", "after"), LOOSER, ids=str)
def test_looser_direction_is_known_and_the_other_one_is_not_looser(before: dict[str, Any], after: dict[str, Any]):
    (name,) = after
    assert changed(before, after) == [name]
    back = changed({**before, **after}, {name: Campaign(**{"two_factor_mode": "required", **before}).policy()[name]})
    # One list in the place of another is looser in both directions.
    assert back == ([name] if after == {"allowed_channels": ["email"]} else [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"allowed_channels": ["email", "whatsapp", "sms"]}),
        ({}, {"completion_mode": "async"}),
        ({}, {"unit": "miles"}),
        ({"autofill_domain": "shop.example.com"}, {"autofill_domain": ""}),
        ({}, {"is_active": False}),
        ({"is_active": False}, {"is_active": True}),
        ({"default_method": "sms"}, {"default_method": "email"}),
        ({"two_factor_mode": "off"}, {"threshold": Decimal(10**6)}),
        ({"two_factor_mode": "off"}, {"two_factor_mode": "required", "threshold": Decimal(10)}),
        ({"token_length": 6}, {"token_length": 12, "token_alphabet": "numeric"}),
    ],
    ids=str,
)
def test_what_weakens_nothing_is_not_looser(before: dict[str, Any], after: dict[str, Any]):
    assert changed(before, after) == []


def test_longer_token_of_fewer_characters_is_looser_where_it_has_fewer_values():
    assert changed({}, {"token_length": 9, "token_alphabet": "numeric"}) == ["token_length", "token_alphabet"]


def test_required_from_a_threshold_on_asks_those_less_who_chose_a_method():
    """Stricter in its name only: below the threshold nobody is asked any more."""
    optional = {"two_factor_mode": "optional"}
    assert changed(optional, {"two_factor_mode": "required", "threshold": Decimal(100)}) == [
        "two_factor_mode",
        "threshold",
    ]


MODES = [(mode, limit) for mode in ("off", "optional", "required") for limit in (None, Decimal(50), Decimal(200))]


@pytest.mark.parametrize("before", MODES, ids=str)
@pytest.mark.parametrize("after", MODES, ids=str)
def test_rule_agrees_with_the_decision_itself(before: tuple[str, Any], after: tuple[str, Any]):
    """Looser is exactly: some redemption that was asked for a token is asked no more."""

    def asked(policy: tuple[str, Any]) -> set[tuple[str, int]]:
        campaign = Campaign(two_factor_mode=policy[0], threshold=policy[1])
        return {
            (method, amount)
            for method in ("none", "sms")
            for amount in (1, 49, 50, 100, 199, 200, 10**9)
            if decide(
                campaign, Participant(two_factor_method=method), amount=Decimal(amount), spent=Decimal(0)
            ).required
        }

    before_columns = {"two_factor_mode": before[0], "threshold": before[1]}
    after_columns = {"two_factor_mode": after[0], "threshold": after[1]}
    assert bool(changed(before_columns, after_columns)) == (not asked(before) <= asked(after))
