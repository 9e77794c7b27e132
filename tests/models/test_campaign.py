from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from tests import factories
from tests.models.violations import tamper, violates
from twofa.models import POLICY_FIELDS, Campaign
from twofa.models.policy import shortest_token

pytestmark = pytest.mark.django_db


def duration(seconds: float) -> object:
    return timedelta(seconds=seconds) if connection.vendor == "postgresql" else int(seconds * 1_000_000)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"max_attempts": 0}, "twofa_campaign_max_attempts"),
        ({"max_attempts": 6}, "twofa_campaign_max_attempts"),
        ({"token_ttl": 0}, "twofa_campaign_token_ttl"),
        ({"token_ttl": -1}, "twofa_campaign_token_ttl"),
        ({"token_ttl": 600.001}, "twofa_campaign_token_ttl"),
        ({"token_length": 3}, "twofa_campaign_token_space"),
        ({"token_length": 13}, "twofa_campaign_token_space"),
        ({"token_alphabet": "numeric", "token_length": 5}, "twofa_campaign_token_space"),
        ({"token_alphabet": "binary", "token_length": 12}, "twofa_campaign_token_space"),
        ({"resend_cooldown": -1}, "twofa_campaign_durations"),
        ({"device_cooling_off": -1}, "twofa_campaign_durations"),
        ({"redemption_ttl": 0}, "twofa_campaign_durations"),
        ({"threshold": 0}, "twofa_campaign_threshold"),
        ({"threshold": -1}, "twofa_campaign_threshold"),
        ({"two_factor_mode": "sometimes"}, "twofa_campaign_modes"),
        ({"completion_mode": "later"}, "twofa_campaign_modes"),
    ],
    ids=str,
)
def test_policy_outside_of_the_caps_is_refused_by_the_database(columns, constraint):
    campaign = factories.campaign()
    durations = {"token_ttl", "resend_cooldown", "device_cooling_off", "redemption_ttl"}
    raw = {name: duration(value) if name in durations else value for name, value in columns.items()}
    with violates(constraint):
        tamper(campaign, **raw)


@pytest.mark.parametrize(
    "columns",
    [
        {"max_attempts": 1},
        {"max_attempts": 5},
        {"token_length": 4},
        {"token_length": 12},
        {"token_alphabet": "numeric", "token_length": 6},
        {"threshold": Decimal("0.01")},
        {"threshold": None},
    ],
    ids=str,
)
def test_policy_at_the_caps_is_kept(columns):
    tamper(factories.campaign(), **columns)


def test_slug_is_unique():
    one, other = factories.campaign(), factories.campaign()
    with violates("twofa_campaign_slug"):
        tamper(other, slug=one.slug)


@pytest.mark.parametrize(("alphabet", "length"), [("alphanumeric", 4), ("numeric", 6)])
def test_shortest_token_has_a_million_of_them(alphabet, length):
    """OWASP ASVS 6.5.4: 20 bits."""
    assert shortest_token(alphabet) == length


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"token_length": 3}, "token_length"),
        ({"token_length": 13}, "token_length"),
        ({"token_length": None}, "token_length"),
        ({"token_alphabet": "binary"}, "token_alphabet"),
        ({"token_alphabet": None}, "token_alphabet"),
        ({"token_ttl": timedelta(minutes=11)}, "token_ttl"),
        ({"token_ttl": timedelta(0)}, "token_ttl"),
        ({"token_ttl": None}, "token_ttl"),
        ({"max_attempts": 6}, "max_attempts"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": None}, "max_attempts"),
        ({"threshold": Decimal(0)}, "threshold"),
        ({"allowed_channels": ["sms", "sms"]}, "allowed_channels"),
        ({"allowed_channels": ["pigeon"]}, "allowed_channels"),
        ({"allowed_channels": [{}]}, "allowed_channels"),
        ({"allowed_channels": "sms"}, "allowed_channels"),
        ({"allowed_channels": {"sms": 1}}, "allowed_channels"),
        ({"allowed_channels": None}, "allowed_channels"),
        ({"allowed_channels": []}, "allowed_channels"),
        ({"allowed_countries": ["br"]}, "allowed_countries"),
        ({"allowed_countries": ["BRA"]}, "allowed_countries"),
        ({"allowed_countries": "BR"}, "allowed_countries"),
        ({"allowed_countries": [55]}, "allowed_countries"),
        ({"two_factor_mode": "sometimes"}, "two_factor_mode"),
        ({"default_method": "totp"}, "default_method"),
        ({"default_method": "sms", "allowed_channels": ["email"]}, "default_method"),
        ({"token_ttl": timedelta(seconds=59)}, "token_ttl"),
        ({"redemption_ttl": timedelta(minutes=4)}, "redemption_ttl"),
        ({"resend_cooldown": timedelta(minutes=30)}, "resend_cooldown"),
        ({"max_open_challenges": 0}, "max_open_challenges"),
        ({"failed_attempts_per_day": 0}, "failed_attempts_per_day"),
        ({"sends_per_destination_per_day": 0}, "sends_per_destination_per_day"),
        ({"sends_per_participant_per_day": 0}, "sends_per_participant_per_day"),
        ({"sends_per_campaign_per_day": 0}, "sends_per_campaign_per_day"),
        ({"identity_required": True}, "required_documents"),
    ],
    ids=str,
)
def test_policy_that_makes_no_sense_is_told_at_its_field(columns, field):
    campaign = factories.campaign()
    for name, value in columns.items():
        setattr(campaign, name, value)
    with pytest.raises(ValidationError) as refused:
        campaign.full_clean()
    assert set(refused.value.message_dict) == {field}


@pytest.mark.parametrize(
    "columns",
    [
        {"default_method": "sms", "allowed_channels": ["sms"]},
        {"token_ttl": timedelta(minutes=1)},
        {"redemption_ttl": timedelta(minutes=5)},
        {"resend_cooldown": timedelta(hours=1), "max_resends": 0},
        {"sends_per_campaign_per_day": None},
        {"identity_required": True, "required_documents": ["selfie"]},
    ],
    ids=str,
)
def test_policy_at_the_edge_of_sense_is_allowed(columns):
    campaign = factories.campaign(**columns)
    campaign.full_clean()


def test_limits_of_the_host_are_stricter_and_never_looser(settings):
    campaign = factories.campaign()
    settings.TWOFA_POLICY_LIMITS = {"max_attempts": 3, "token_ttl": timedelta(minutes=2), "token_bits": 40}
    with pytest.raises(ValidationError) as refused:
        campaign.full_clean()
    assert set(refused.value.message_dict) == {"max_attempts", "token_ttl", "token_length"}
    snapshot = campaign.snapshot()
    assert (snapshot["max_attempts"], snapshot["token_ttl"], snapshot["token_length"]) == (3, timedelta(minutes=2), 8)

    settings.TWOFA_POLICY_LIMITS = {"max_attempts": 9, "token_ttl": timedelta(hours=2), "token_bits": 1}
    assert Campaign.max_attempts_limit() == 5
    assert Campaign.token_ttl_limit() == timedelta(minutes=10)
    assert campaign.token_length_floor() == 4


def test_policy_fields_are_columns():
    columns = {field.name for field in Campaign._meta.concrete_fields}
    assert set(POLICY_FIELDS) <= columns
    assert columns - set(POLICY_FIELDS) == {
        "id",
        "slug",
        "name",
        "test",
        "message_switches",
        "policy_version",
        "created_at",
    }


@pytest.mark.parametrize(
    "name", ["shop.example.com", "example.com.br", "xn--caf-dma.example", "a.bc", "1.example.org", ""]
)
def test_domain_of_autofill_is_a_host_name(name: str):
    factories.campaign(autofill_domain=name).full_clean()


@pytest.mark.parametrize(
    "name",
    [
        "https://shop.example.com",
        "shop.example.com/x",
        "shop",
        "Shop.example.com",
        "a b.com",
        "-a.com",
        "a-.com",
        "a..com",
    ]
    + ["10.0.0.1", "a.com\n", "a.com #482913", "@a.com", "café.com", "a.c", ".com", "a.com.", "x" * 64 + ".com"],
)
def test_domain_of_autofill_that_is_none_is_refused(name: str):
    with pytest.raises(ValidationError) as caught:
        Campaign(slug="summer", name="Summer", autofill_domain=name).full_clean()

    assert set(caught.value.message_dict) == {"autofill_domain"}
