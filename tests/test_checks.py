"""Every check says exactly its own id, and nothing else; the docs list them all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core import checks as django_checks
from django.core.checks import Tags
from django.core.checks.registry import registry
from django.db import connections, models
from django.test import override_settings
from django.test.utils import isolate_apps

from tests import factories
from tests.endpoints import make_endpoint
from twofa import checks, jobs
from twofa.checks import backends, findings, rows
from twofa.checks.backends import unfilled_columns
from twofa.checks.findings import Finding
from twofa.conf import DEFAULTS, PREFIX
from twofa.fulfillment import FulfillmentBackend
from twofa.models import Challenge, WebhookEndpoint

ROOT = Path(__file__).parents[1]
CATALOGUE = [finding for finding in vars(findings).values() if isinstance(finding, Finding)]
KEY = bytes.fromhex("8f1d2c7ab94e60d35f827a10c4be9963e07d5512fa8843b1c6d90e27391fa5cb")
OTHER_KEY = bytes(byte ^ 0x5A ^ index for index, byte in enumerate(KEY))
EMAIL = {"BACKEND": "twofa.channels.email.EmailChannel"}
MEMORY = {"BACKEND": "twofa.channels.memory.MemoryChannel"}


GOOD = {
    "SECRET_KEY": "the-project-s-own-secret-key-" * 2,
    "TWOFA_TOKEN_KEYS": {"1": KEY},
    "TWOFA_CHANNELS": {"sms": EMAIL, "whatsapp": EMAIL, "email": EMAIL},
    "TWOFA_FULFILLMENT_BACKEND": "tests.fulfillment.RecordingBackend",
}


class WithoutRelease(FulfillmentBackend):
    def reserve(self, redemption) -> None: ...
    def complete(self, redemption) -> None: ...


class Demanding(WithoutRelease):
    def __init__(self, ledger) -> None: ...
    def release(self, redemption) -> None: ...


class Mute:
    """A channel that forgot the one thing that channels do."""


def resolve(campaign, external_id) -> None:
    """A resolver that does not take what it is given."""


def found(**settings) -> list[str]:
    """The ids of this package's findings under these settings."""
    with override_settings(**{**GOOD, **settings}):
        messages = django_checks.run_checks()
    return sorted(str(message.id) for message in messages if str(message.id).startswith("twofa."))


HERE = "tests.test_checks"
BAD_SETTINGS = {
    "E001-none": ("twofa.E001", {"TWOFA_TOKEN_KEYS": {}}),
    "E001-null": ("twofa.E001", {"TWOFA_TOKEN_KEYS": None}),
    "E002-list": ("twofa.E002", {"TWOFA_TOKEN_KEYS": [KEY]}),
    "E002-not-base64": ("twofa.E002", {"TWOFA_TOKEN_KEYS": {"1": "never base64!"}}),
    "E002-number": ("twofa.E002", {"TWOFA_TOKEN_KEYS": {"1": 42}}),
    "E003": ("twofa.E003", {"TWOFA_TOKEN_KEYS": {"1": KEY[:31]}}),
    "E004-same-bytes": ("twofa.E004", {"TWOFA_TOKEN_KEYS": {"1": b"\x00" * 32}}),
    "E004-counted": ("twofa.E004", {"TWOFA_TOKEN_KEYS": {"1": bytes(range(32))}}),
    "E004-repeated": ("twofa.E004", {"TWOFA_TOKEN_KEYS": {"1": KEY[:16] * 2}}),
    "E005-bytes": ("twofa.E005", {"TWOFA_TOKEN_KEYS": {"1": KEY}, "SECRET_KEY": KEY}),
    "E005-text": ("twofa.E005", {"TWOFA_TOKEN_KEYS": {"1": KEY.hex()}, "SECRET_KEY": KEY.hex()}),
    "E005-fallback": ("twofa.E005", {"TWOFA_TOKEN_KEYS": {"1": KEY.hex()}, "SECRET_KEY_FALLBACKS": [KEY.hex()]}),
    "E006": ("twofa.E006", {"TWOFA_TOKEN_KEYS": {"1": KEY, "2": KEY}}),
    "E007-empty": ("twofa.E007", {"TWOFA_TOKEN_KEYS": {"": KEY}}),
    "E007-long": ("twofa.E007", {"TWOFA_TOKEN_KEYS": {"k" * 65: KEY}}),
    "E007-number": ("twofa.E007", {"TWOFA_TOKEN_KEYS": {1: KEY}}),
    "E010": ("twofa.E010", {"TWOFA_FULFILLMENT_BACKEND": None}),
    "E011-module": ("twofa.E011", {"TWOFA_FULFILLMENT_BACKEND": "no.such.Backend"}),
    "E011-not-a-path": ("twofa.E011", {"TWOFA_FULFILLMENT_BACKEND": "Backend"}),
    "E011-function": ("twofa.E011", {"TWOFA_FULFILLMENT_BACKEND": f"{HERE}.resolve"}),
    "E012-one": ("twofa.E012", {"TWOFA_FULFILLMENT_BACKEND": f"{HERE}.WithoutRelease"}),
    "E012-base": ("twofa.E012", {"TWOFA_FULFILLMENT_BACKEND": FulfillmentBackend}),
    "E013": ("twofa.E013", {"TWOFA_FULFILLMENT_BACKEND": f"{HERE}.Demanding"}),
    "E020-list": ("twofa.E020", {"TWOFA_CHANNELS": [EMAIL]}),
    "E020-path-only": ("twofa.E020", {"TWOFA_CHANNELS": {"sms": EMAIL["BACKEND"]}}),
    "E020-no-backend": ("twofa.E020", {"TWOFA_CHANNELS": {"sms": {"OPTIONS": {}}}}),
    "E020-options": ("twofa.E020", {"TWOFA_CHANNELS": {"sms": {**EMAIL, "OPTIONS": ["a"]}}}),
    "E020-member": ("twofa.E020", {"TWOFA_CHANNELS": {"sms": {**EMAIL, "OPTION": {}}}}),
    "E021": ("twofa.E021", {"TWOFA_CHANNELS": {"sms": {"BACKEND": "no.such.Channel"}}}),
    "E022": ("twofa.E022", {"TWOFA_CHANNELS": {"sms": {**EMAIL, "OPTIONS": {"no_such_option": 1}}}}),
    "E023": ("twofa.E023", {"TWOFA_CHANNELS": {"sms": {"BACKEND": f"{HERE}.Mute"}}}),
    "E024": ("twofa.E024", {"TWOFA_CHANNELS": {"sms": MEMORY}}),
    "E014-methods": ("twofa.E014", {"TWOFA_ACCESS_TOKEN_ISSUER": object}),
    "E030-module": ("twofa.E030", {"TWOFA_USER_RESOLVER": "no.such.resolver"}),
    "E030-signature": ("twofa.E030", {"TWOFA_USER_RESOLVER": f"{HERE}.resolve"}),
    "E030-not-callable": ("twofa.E030", {"TWOFA_USER_RESOLVER": 7}),
    "E031-list": ("twofa.E031", {"TWOFA_THROTTLE_RATES": ["600/min"]}),
    "E031-unit": ("twofa.E031", {"TWOFA_THROTTLE_RATES": {"storefront": "600/fortnight"}}),
    "E031-number": ("twofa.E031", {"TWOFA_THROTTLE_RATES": {"storefront": 600}}),
    "E031-scope": ("twofa.E031", {"TWOFA_THROTTLE_RATES": {"storefronts": "600/min"}}),
    "E032-list": ("twofa.E032", {"TWOFA_POLICY_LIMITS": ["max_attempts"]}),
    "E032-attempts": ("twofa.E032", {"TWOFA_POLICY_LIMITS": {"max_attempts": 9}}),
    "E032-ttl": ("twofa.E032", {"TWOFA_POLICY_LIMITS": {"token_ttl": 300}}),
    "E035": ("twofa.E035", {"TWOFA_FOUR_EYES": "False"}),
    "E032-short": ("twofa.E032", {"TWOFA_POLICY_LIMITS": {"token_ttl": timedelta(seconds=59)}}),
    "E032-many": ("twofa.E032", {"TWOFA_POLICY_LIMITS": {"token_bits": 61}}),
    "E032-bits": ("twofa.E032", {"TWOFA_POLICY_LIMITS": {"token_bits": True}}),
    "E032-name": ("twofa.E032", {"TWOFA_POLICY_LIMITS": {"max_atempts": 3}}),
    "E033-number": ("twofa.E033", {"TWOFA_DELIVERY_LEASE": 30}),
    "E033-zero": ("twofa.E033", {"TWOFA_KEY_LIFETIME": timedelta(0)}),
    "E033-null": ("twofa.E033", {"TWOFA_PUBLISH_PAUSE": None}),
    "E034-text": ("twofa.E034", {"TWOFA_DELIVERY_MAX_TRIES": "4"}),
    "E034-zero": ("twofa.E034", {"TWOFA_DEVICES_PER_PARTICIPANT": 0}),
    "E034-contact": ("twofa.E034", {"TWOFA_PARTICIPANTS_PER_CONTACT": -1}),
    "E034-yes": ("twofa.E034", {"TWOFA_COMPLETION_MAX_TRIES": True}),
    "E036-list": ("twofa.E036", {"TWOFA_RETENTION": ["documents"]}),
    "E036-name": ("twofa.E036", {"TWOFA_RETENTION": {"document": timedelta(days=1)}}),
    "E036-number": ("twofa.E036", {"TWOFA_RETENTION": {"documents": 30}}),
    "E036-negative": ("twofa.E036", {"TWOFA_RETENTION": {"onboarding": timedelta(seconds=-1)}}),
    "E036-contacts": ("twofa.E036", {"TWOFA_RETENTION": {"contacts": timedelta(hours=23)}}),
    "E036-idempotency": ("twofa.E036", {"TWOFA_RETENTION": {"idempotency": timedelta(hours=23)}}),
    "E036-events": ("twofa.E036", {"TWOFA_RETENTION": {"events": timedelta(days=1)}}),
    "E036-event": ("twofa.E036", {"TWOFA_RETENTION": {"events": {"deliveries": timedelta(days=1)}}}),
    "E036-event-short": ("twofa.E036", {"TWOFA_RETENTION": {"events": {"delivery": timedelta(hours=1)}}}),
    "E036-role": ("twofa.E036", {"TWOFA_RETENTION": {"events": {"role": timedelta(days=900)}}}),
    "E036-role-changed": ("twofa.E036", {"TWOFA_RETENTION": {"events": {"role.changed": timedelta(days=900)}}}),
    "E036-trail": ("twofa.E036", {"TWOFA_RETENTION": {"events": {"trail": timedelta(days=900)}}}),
    "E037-text": ("twofa.E037", {"TWOFA_WEBHOOK_PRIVATE_HOSTS": "backend"}),
    "E037-url": ("twofa.E037", {"TWOFA_WEBHOOK_PRIVATE_HOSTS": ["http://backend"]}),
    "E037-port": ("twofa.E037", {"TWOFA_WEBHOOK_PRIVATE_HOSTS": ["backend:8000"]}),
    "E037-number": ("twofa.E037", {"TWOFA_WEBHOOK_PRIVATE_HOSTS": [1]}),
    "W003": ("twofa.W003", {"TWOFA_TOKEN_KEY": {"1": KEY}}),
    "W005": ("twofa.W005", {"TWOFA_CHANNELS": {"sms": EMAIL, "whatsap": EMAIL}}),
    "W006-none": ("twofa.W006", {"TWOFA_CHANNELS": {}}),
    "W006-null": ("twofa.W006", {"TWOFA_CHANNELS": None}),
}


def test_good_settings_are_silent():
    assert found() == []


@pytest.mark.parametrize(("expected", "settings"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_bad_setting_gives_its_own_id_only(expected: str, settings: dict[str, object]):
    assert found(**settings) == [expected]


def test_good_periods_are_silent():
    day = timedelta(days=1)
    periods = {"documents": timedelta(0), "contacts": day, "events": {"delivery.sent": day}}
    assert found(TWOFA_RETENTION=periods) == []
    assert found(TWOFA_RETENTION={"events": None}) == []


def test_no_expiry_of_keys_is_silent():
    assert found(TWOFA_KEY_LIFETIME=None) == []


def test_no_limit_of_participants_per_contact_is_silent():
    assert found(TWOFA_PARTICIPANTS_PER_CONTACT=None) == []


def test_development_channel_with_debug_is_silent():
    assert found(TWOFA_CHANNELS={"sms": MEMORY}, DEBUG=True) == []


@pytest.mark.parametrize("app", ["django_otp", "rest_framework", "django.contrib.auth", "django.contrib.contenttypes"])
def test_missing_app_is_an_error(app: str, monkeypatch: pytest.MonkeyPatch):
    is_installed: Callable[[str], bool] = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda name: name != app and is_installed(name))

    assert "twofa.E040" in found()


def test_eager_jobs_without_debug_are_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs, "is_eager", lambda: True)

    assert found() == ["twofa.W001"]
    assert found(DEBUG=True) == []


def test_no_celery_app_is_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs, "configured_app", lambda: False)

    assert found() == ["twofa.W002"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, ["twofa.W004"]), ({"transaction_mode": None}, ["twofa.W004"]), ({"transaction_mode": "immediate"}, [])],
)
def test_sqlite_without_immediate_transactions_is_a_warning(
    options: dict[str, object], expected: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections["default"], "vendor", "sqlite")
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", options)

    assert found() == expected


@pytest.mark.parametrize(("level", "expected"), [(1, []), (2, []), (3, ["twofa.E041"]), (4, ["twofa.E041"])])
def test_transactions_that_see_the_past_are_an_error(level: int, expected: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {"isolation_level": level})

    assert found() == expected


@override_settings(**{**GOOD, "TWOFA_TOKEN_KEY": 1, "TWOFA_CHANNELS": {"whatsap": EMAIL}})
def test_misspelt_name_is_answered_with_the_right_one():
    hints = {message.id: message.hint for message in checks.check_settings(None)}

    assert hints == {
        "twofa.W003": "Did you mean TWOFA_TOKEN_KEYS?",
        "twofa.W005": "Did you mean 'whatsapp'?",
    }


def test_message_never_quotes_a_key():
    settings = {"TWOFA_TOKEN_KEYS": {"1": "not base64: hunter2", "2": KEY[:20], "3": KEY, "4": KEY}}
    with override_settings(**{**GOOD, **settings}):
        said = " ".join(f"{message}{message.hint}" for message in checks.check_settings(None))

    assert "hunter2" not in said
    assert KEY[:20].hex() not in said
    assert repr(KEY)[2:20] not in said


# --- rows ------------------------------------------------------------------------------------------------------------


def found_in_rows(**settings) -> list[str]:
    with override_settings(**{**GOOD, **settings}):
        return sorted(str(message.id) for message in checks.check_rows(None, databases=["default"]))


@pytest.mark.django_db
def test_sound_rows_are_silent():
    factories.Shop().open()

    assert (
        found_in_rows(TWOFA_TOKEN_KEYS={"test": KEY}, TWOFA_POLICY_LIMITS={"max_attempts": 5, "token_bits": 30}) == []
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ({"email": EMAIL}, ["twofa.W007"]),
        ({"whatsapp": EMAIL}, ["twofa.E025"]),
        ({}, ["twofa.E025"]),
        ({"sms": EMAIL, "email": EMAIL}, []),
    ],
)
@pytest.mark.parametrize("asks", [{}, {"two_factor_mode": "off", "approver_threshold": 100}], ids=["all", "approver"])
def test_campaign_with_a_channel_that_is_not_configured_is_told(channels, expected: list[str], asks):
    factories.campaign(allowed_channels=["sms", "email"], **asks)

    assert found_in_rows(TWOFA_CHANNELS=channels) == expected


@pytest.mark.django_db
@pytest.mark.parametrize("harmless", [{"two_factor_mode": "off"}, {"is_active": False}, {"test": True}])
def test_campaign_that_sends_nothing_needs_no_channel(harmless: dict[str, object]):
    factories.campaign(**harmless)

    assert found_in_rows(TWOFA_CHANNELS={}) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    "limits",
    [{"max_attempts": 3}, {"token_ttl": timedelta(minutes=2)}, {"token_bits": 31}],
    ids=lambda limits: next(iter(limits)),
)
def test_policy_looser_than_the_limits_is_told(limits: dict[str, object]):
    factories.campaign()

    assert found_in_rows(TWOFA_POLICY_LIMITS=limits) == ["twofa.W008"]


@pytest.mark.django_db
def test_open_challenge_whose_key_left_the_ring_is_told():
    challenge = factories.Shop().open().challenge

    assert found_in_rows(TWOFA_TOKEN_KEYS={"other": OTHER_KEY}) == ["twofa.W009"]
    Challenge.objects.filter(pk=challenge.pk).update(status="cancelled", seed=None, ended_at=challenge.created_at)
    assert found_in_rows(TWOFA_TOKEN_KEYS={"other": OTHER_KEY}) == []


@pytest.mark.django_db
def test_webhook_endpoint_whose_key_left_the_ring_is_told():
    endpoint = make_endpoint()

    assert found_in_rows(TWOFA_TOKEN_KEYS={endpoint.kid: KEY}) == []
    assert found_in_rows(TWOFA_TOKEN_KEYS={"other": OTHER_KEY}) == ["twofa.W018"]
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(is_active=False)
    assert found_in_rows(TWOFA_TOKEN_KEYS={"other": OTHER_KEY}) == []


@pytest.mark.django_db
def test_rows_are_not_read_before_the_tables_are_there(monkeypatch: pytest.MonkeyPatch):
    factories.campaign()
    monkeypatch.setattr(rows, "is_migrated", lambda alias: False)

    assert found_in_rows(TWOFA_CHANNELS={}) == []


def test_rows_are_read_only_where_the_database_was_asked_for():
    assert list(checks.check_rows(None, databases=None)) == []
    assert list(checks.check_rows(None, databases=["other"])) == []


@pytest.mark.django_db
def test_migrated_database_is_recognised():
    assert rows.is_migrated("default")


def test_another_app_is_not_concerned():
    with override_settings(**{**GOOD, "TWOFA_TOKEN_KEYS": {}}):
        assert list(checks.check_settings([apps.get_app_config("auth")])) == []
        assert [message.id for message in checks.check_settings([apps.get_app_config("twofa")])] == ["twofa.E001"]


# --- the catalogue ---------------------------------------------------------------------------------------------------


def test_ids_are_unique():
    assert [identifier for identifier, times in Counter(f.id for f in CATALOGUE).items() if times > 1] == []


@pytest.mark.parametrize("finding", CATALOGUE, ids=lambda finding: finding.id)
def test_finding_is_documented_and_says_what_to_do(finding: Finding):
    page = (ROOT / "docs/reference/checks.md").read_text()

    assert re.fullmatch(r"twofa\.[EW][0-9]{3}", finding.id)
    assert finding.hint
    assert page.count(f"`{finding.id}`") == 1


def test_docs_list_no_other_id():
    page = (ROOT / "docs/reference/checks.md").read_text()

    assert set(re.findall(r"twofa\.[EW][0-9]{3}", page)) == {finding.id for finding in CATALOGUE}


@pytest.mark.parametrize("name", DEFAULTS)
def test_setting_is_documented(name: str):
    page = (ROOT / "docs/reference/settings.md").read_text()

    assert page.count(f"| `{PREFIX}{name}` |") == 1


def test_checks_are_registered_under_their_tags():
    ours = (check for check in registry.get_checks() if check.__module__ == "twofa.checks")

    assert sorted(tuple(check.tags) for check in ours) == [(Tags.database,), (Tags.security,)]


@isolate_apps("tests")
def test_columns_that_the_default_resolver_leaves_empty_are_named():
    class Member(AbstractBaseUser):
        email = models.EmailField(unique=True)
        card = models.CharField(max_length=20, unique=True)
        born = models.DateField()
        nickname = models.CharField(max_length=20, blank=True)
        passport = models.CharField(max_length=20, unique=True, null=True)  # type: ignore[misc]
        number = models.UUIDField(unique=True, default=uuid4)
        joined = models.DateTimeField(auto_now_add=True)
        USERNAME_FIELD = "email"

        class Meta:
            app_label = "tests"

    assert sorted(unfilled_columns(Member)) == ["born", "card"]
    assert unfilled_columns(get_user_model()) == []


def test_a_user_model_that_the_default_resolver_cannot_make_is_told(monkeypatch, settings):
    monkeypatch.setattr(backends, "unfilled_columns", lambda _model: ["card"])
    (finding,) = backends.user_resolver()
    assert (finding.id, "card" in finding.msg) == ("twofa.W010", True)
    settings.TWOFA_USER_RESOLVER = lambda *, campaign, external_id, name, locale: None
    assert list(backends.user_resolver()) == []
