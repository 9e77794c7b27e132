from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from tests import factories
from tests.statements import record_statements
from twofa.flows import figures
from twofa.models import Challenge, Delivery, Redemption

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The database's clock, as the figures read it: noon of 3 May."""
    monkeypatch.setattr(figures, "now", lambda: NOON)
    return NOON


@pytest.fixture
def shop() -> factories.Shop:
    return factories.Shop(max_open_challenges=100)


def asked(shop: factories.Shop, at: datetime, status: str = "pending", sent: str = "sent", **columns: Any) -> Challenge:
    """A redemption that was asked for its token at `at`, and how that went."""
    challenge = shop.open().challenge
    ended = {} if status == "pending" else {"seed": None, "superseded": b"", "ended_at": at + timedelta(minutes=1)}
    Challenge.objects.filter(pk=challenge.pk).update(created_at=at, status=status, **{**ended, **columns})
    Delivery.objects.filter(challenge=challenge).update(created_at=at, status=sent)
    return challenge


def test_campaign_without_a_redemption_has_all_its_days_with_nothing(shop: factories.Shop, noon: datetime):
    found = figures.of_campaign(shop.campaign, days=7)

    assert list(found.days) == [date(2026, 4, 27) + timedelta(days=day) for day in range(7)]
    assert {outcomes.issued for outcomes in found.days.values()} == {0}
    assert found.total == figures.Outcomes()
    assert (found.median, found.messages, found.total.conversion) == (None, [], None)


def test_each_redemption_counts_once_on_the_day_it_was_asked(shop: factories.Shop, noon: datetime):
    for status in ("approved", "approved", "rejected", "expired", "cancelled", "pending"):
        asked(shop, NOON, status)
    asked(shop, NOON - timedelta(days=1), "approved")

    found = figures.of_campaign(shop.campaign, days=7)

    today = found.days[date(2026, 5, 3)]
    assert vars(today) == {
        "issued": 6,
        "delivered": 6,
        "confirmed": 2,
        "rejected": 1,
        "expired": 1,
        "cancelled": 1,
        "open": 1,
    }
    assert today.conversion == pytest.approx(2 / 5)
    assert found.days[date(2026, 5, 2)].confirmed == 1
    assert found.total.issued == 7


def test_what_is_of_another_campaign_time_or_purpose_does_not_count(shop: factories.Shop, noon: datetime):
    asked(factories.Shop(), NOON, "approved")
    asked(shop, NOON - timedelta(days=7), "approved")
    asked(shop, NOON + timedelta(days=1), "approved")
    login = factories.login_challenge(shop)
    Challenge.objects.filter(pk=login.pk).update(created_at=NOON)
    Challenge.objects.filter(redemption__isnull=False, created_at__gt=NOON + timedelta(days=2)).delete()

    assert figures.of_campaign(shop.campaign, days=7).total == figures.Outcomes()


def test_delivered_is_told_by_the_last_message_of_each(shop: factories.Shop, noon: datetime):
    renewed = asked(shop, NOON, sent="failed")
    Challenge.objects.filter(pk=renewed.pk).update(generation=2)
    first = Delivery.objects.get(challenge=renewed)
    first.pk, first.generation, first.status = None, 2, "sent"
    first.save(force_insert=True)
    for status in ("delivered", "failed", "expired", "superseded"):
        asked(shop, NOON, sent=status)
    Delivery.objects.filter(challenge=asked(shop, NOON)).update(status="queued")

    total = figures.of_campaign(shop.campaign, days=7).total

    assert (total.issued, total.delivered) == (6, 2)


@pytest.mark.parametrize(("seconds", "median"), [((30,), 30), ((10, 50), 30), ((5, 20, 600), 20), ((1, 2, 4, 900), 3)])
def test_median_is_the_middle_of_the_times_to_confirm(
    seconds: tuple[int, ...], median: int, shop: factories.Shop, noon: datetime
):
    for taken in seconds:
        asked(shop, NOON, "approved", ended_at=NOON + timedelta(seconds=taken))
    asked(shop, NOON, "rejected", ended_at=NOON + timedelta(days=2))

    assert figures.of_campaign(shop.campaign, days=7).median == timedelta(seconds=median)


def test_messages_are_told_by_channel_with_the_reasons(shop: factories.Shop, noon: datetime):
    for status, reason in [("sent", ""), ("delivered", ""), ("failed", "timeout"), ("expired", "too_late")]:
        Delivery.objects.filter(challenge=asked(shop, NOON)).update(status=status, reason=reason)
    Delivery.objects.filter(challenge=asked(shop, NOON)).update(status="queued", channel="email")
    Delivery.objects.filter(challenge=asked(shop, NOON)).update(status="superseded", channel="email")

    email, sms = figures.of_campaign(shop.campaign, days=7).messages

    assert (email.channel, email.accepted, email.waiting, email.failure_rate) == ("email", 0, 1, None)
    assert (sms.channel, sms.accepted, sms.delivered, sms.failed, sms.expired) == ("sms", 2, 1, 1, 1)
    assert sms.failure_rate == pytest.approx(0.5)
    assert sms.reasons == {"timeout": 1, "too_late": 1}


@pytest.mark.parametrize(
    ("zone", "today", "hours"),
    [
        # Clocks go forward at midnight: that day has no 00:00, and begins at 01:00.
        ("America/Sao_Paulo", date(2018, 11, 4), 23),
        # Clocks go back at midnight: the day before is an hour longer, and 23:30 comes twice.
        ("America/Sao_Paulo", date(2018, 2, 17), 25),
        # Midnight itself comes twice.
        ("America/Havana", date(2026, 11, 1), 25),
        ("Europe/Lisbon", date(2026, 3, 29), 23),
        ("Asia/Kathmandu", date(2026, 5, 3), 24),
        ("UTC", date(2026, 5, 3), 24),
    ],
)
def test_day_is_as_long_as_the_time_zone_says(zone: str, today: date, hours: int):
    noon = datetime(today.year, today.month, today.day, 12, tzinfo=ZoneInfo(zone))
    with timezone.override(zone):
        days, since, until = figures.period(noon.astimezone(UTC), 1)

    assert days == [today]
    assert until.astimezone(UTC) - since.astimezone(UTC) == timedelta(hours=hours)


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Pacific/Kiritimati", "UTC"])
def test_edge_of_a_day_is_that_of_the_time_zone(zone: str, shop: factories.Shop, monkeypatch: pytest.MonkeyPatch):
    """In 2018 clocks in Brazil went back on 18 February at midnight: 23:30 of the 17th came twice, and counts twice."""
    local = ZoneInfo(zone)
    evening = datetime(2018, 2, 17, 23, 30, tzinfo=local)
    again = evening.replace(fold=1)
    monkeypatch.setattr(figures, "now", lambda: datetime(2018, 2, 18, 12, tzinfo=local).astimezone(UTC))
    moments = [evening, again, datetime(2018, 2, 18, tzinfo=local), datetime(2018, 2, 16, 23, 59, 59, tzinfo=local)]
    for at in moments:
        asked(shop, at.astimezone(UTC))

    with timezone.override(zone):
        found = figures.of_campaign(shop.campaign, days=7)

    counts = {day.day: outcomes.issued for day, outcomes in found.days.items() if outcomes.issued}
    assert counts == {16: 1, 17: 2, 18: 1}


def test_figures_cost_four_statements_however_many_there_are(shop: factories.Shop):
    def cost() -> int:
        with record_statements() as statements:
            figures.of_campaign(shop.campaign, days=90)
        return len(statements)

    assert cost() == 3, "without a confirmed one there is no median to ask for"
    for _time in range(5):
        asked(shop, timezone.now(), "approved")
    assert cost() == 4


def test_figures_write_nothing(shop: factories.Shop):
    asked(shop, NOON, "approved")
    before = list(Redemption.objects.values())

    with record_statements() as statements:
        figures.of_campaign(shop.campaign, days=30)

    assert {sql.split()[0] for sql in statements.counted} == {"SELECT"}
    assert list(Redemption.objects.values()) == before


def test_whom_a_change_touches_is_told_by_the_channels_that_it_brings(shop: factories.Shop):
    factories.device(shop.participant, channel="email", usable_from=timezone.now() + timedelta(days=1))
    shop.open()

    with record_statements() as statements:
        kept = figures.touched_by(shop.campaign, allowed_channels=["sms"])

    assert kept == figures.Touched(participants=1, without_device=0, open_challenges=1)
    assert len(statements) == 4
    # Its e-mail address is cooling off.
    assert figures.touched_by(shop.campaign, allowed_channels=["email"]).without_device == 1
