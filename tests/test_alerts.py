"""What alerts somebody, and that it is told once, by ids, and documented."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import factories
from tests.factories import token_of, wrong_token
from tests.stories import confirm, reject, tamper
from twofa import alerts
from twofa.alerts import Alert
from twofa.exceptions import FailedAttemptsBudget, SendBudget, TooManyOpenChallenges, TransactionChanged
from twofa.flows import devices

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "alerts.md"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    alerts.forget()
    yield
    alerts.forget()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture):
    """Alerts told so far: code and ids."""
    caplog.set_level(logging.WARNING, alerts.LOGGER)
    return lambda: [(r.alert, r.alert_ids) for r in caplog.records if r.name == alerts.LOGGER]


def test_every_alert_is_documented_with_its_level():
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE))
    assert rows == {alert.value: logging.getLevelName(alerts.LEVELS[alert]) for alert in Alert}


def test_fact_is_told_once_and_another_one_beside_it(told):
    for challenge in (1, 1, 2, 1):
        alerts.sound(Alert.TOKEN_REUSED, challenge=challenge, redemption=None)
    alerts.sound(Alert.BUDGET_REFUSED, challenge=1)
    assert told() == [
        ("token_reused", {"challenge": "1"}),
        ("token_reused", {"challenge": "2"}),
        ("budget_refused", {"challenge": "1"}),
    ]


def test_fact_is_told_again_after_an_hour(told, monkeypatch):
    at = [0.0]
    monkeypatch.setattr(alerts.time, "monotonic", lambda: at[0])
    for at[0] in (0.0, 3599.0, 3600.0, 3601.0):
        alerts.sound(Alert.TOKEN_REUSED, challenge=1)
    assert len(told()) == 2


def test_memory_of_what_was_told_is_bounded(monkeypatch):
    monkeypatch.setattr(alerts, "_REMEMBERED", 5)
    for number in range(50):
        alerts.sound(Alert.TOKEN_REUSED, challenge=number)
    assert len(alerts._told) <= 5


def test_record_is_one_line(caplog):
    alerts.sound(Alert.BUDGET_REFUSED, budget="max_open_challenges", campaign=7, participant=9)
    (record,) = caplog.records
    assert record.getMessage() == "budget_refused budget=max_open_challenges campaign=7 participant=9"
    assert hasattr(record, "correlation_id")


@pytest.fixture
def shop(db: None) -> factories.Shop:
    return factories.Shop()


def test_token_that_comes_again_alerts_once(shop, told, caplog):
    redemption = shop.open()
    token = token_of(redemption.challenge)
    confirm(shop, redemption, token)
    assert told() == []
    for _ in range(3):
        assert confirm(shop, redemption, token).status == "completed"
    assert told() == [("token_reused", {"challenge": str(redemption.challenge.pk), "redemption": str(redemption.pk)})]
    assert token not in caplog.text


def test_wrong_token_after_the_end_does_not(shop, told):
    redemption = shop.open()
    wrong = wrong_token(redemption.challenge)
    confirm(shop, redemption, token_of(redemption.challenge))
    with pytest.raises(Exception, match="challenge_closed"):
        confirm(shop, redemption, wrong)
    assert told() == []


def test_tampered_redemption_alerts_after_the_commit(shop, told, django_capture_on_commit_callbacks):
    redemption = shop.open()
    tamper(redemption, amount="1.00")
    with django_capture_on_commit_callbacks() as callbacks, pytest.raises(TransactionChanged):
        confirm(shop, redemption, token_of(redemption.challenge))
    assert told() == []
    for callback in callbacks:
        callback()
    ((code, ids),) = told()
    assert code == "transaction_tampered"
    assert ids["redemption"] == str(redemption.pk)
    assert ids["participant"] == str(shop.participant.pk)


def test_tampered_device_alerts(shop, told, django_capture_on_commit_callbacks):
    shop.device.delete()
    registration = devices.register(
        shop.participant, storefront=shop.storefront, channel="sms", address="+5511999990034", actor=shop.actor
    )
    token = token_of(registration.challenge)
    tamper(registration.device, address="+5511999990035")
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(TransactionChanged):
        devices.verify(registration.device, storefront=shop.storefront, token=token, actor=shop.actor)
    assert told() == [("transaction_tampered", {"challenge": str(registration.challenge.pk)})]


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"failed_attempts_per_day": 4}, FailedAttemptsBudget),
        ({"max_open_challenges": 1}, TooManyOpenChallenges),
        ({"sends_per_participant_per_day": 1}, SendBudget),
        ({"sends_per_destination_per_day": 1}, SendBudget),
        ({"sends_per_campaign_per_day": 1}, SendBudget),
    ],
    ids=str,
)
def test_budget_that_says_no_alerts_once(shop, told, columns: dict[str, Any], error: type[Exception]):
    (name,) = columns
    redemption = shop.open()
    if name == "failed_attempts_per_day":
        reject(shop, redemption, 4)
    for column, value in columns.items():
        setattr(shop.campaign, column, value)
    shop.campaign.save()
    for _ in range(3):
        with pytest.raises(error):
            shop.open()
    ids = {"budget": name, "campaign": str(shop.campaign.pk), "participant": str(shop.participant.pk)}
    if name == "sends_per_campaign_per_day":
        del ids["participant"]
    assert told() == [("budget_refused", ids)]
