from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from tests import factories
from twofa.models import Campaign
from twofa.models.clock import Clock, now

pytestmark = pytest.mark.django_db


def test_clock_tells_the_time_in_utc():
    at = now()
    assert at.tzinfo == UTC
    assert abs(at - datetime.now(UTC)) < timedelta(seconds=5)


def test_clock_goes_on_inside_a_transaction():
    """PostgreSQL's now() stands still from BEGIN: a confirm that waited would judge by the time before its wait."""
    with transaction.atomic():
        before = now()
        time.sleep(0.02)
        assert now() - before >= timedelta(milliseconds=15)


def test_clock_can_be_read_with_a_row():
    factories.campaign()
    with transaction.atomic():
        first = Campaign.objects.annotate(clock=Clock()).get().clock
        time.sleep(0.02)
        second = Campaign.objects.annotate(clock=Clock()).get().clock
    assert first.utcoffset() == timedelta(0)
    assert second - first >= timedelta(milliseconds=15)
    assert abs(second - now()) < timedelta(seconds=5)


def test_clock_is_the_databases_whatever_the_zone_of_the_session(settings):
    settings.TIME_ZONE = "America/Sao_Paulo"
    connection.ensure_timezone()
    assert abs(now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_stored_times_compare_with_the_clock():
    """On SQLite times are texts, and their order is that of their spelling."""
    campaign = factories.campaign()
    for shift, is_past in ((-1, True), (1, False)):
        Campaign.objects.filter(pk=campaign.pk).update(
            created_at=now().replace(microsecond=0) + timedelta(seconds=shift)
        )
        assert Campaign.objects.filter(created_at__lte=Clock()).exists() is is_past
