from __future__ import annotations

import re
from datetime import timedelta

import pytest
from celery import current_app
from django.test import override_settings

from tests import factories
from tests.example.blocks import ROOT
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.stories import confirm, points, refused, travel, unchanged
from twofa import correlation, jobs, tasks
from twofa.channels.memory import outbox
from twofa.exceptions import NotFound
from twofa.models import Delivery, Event
from twofa.models.ids import uuid7

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> factories.Shop:
    RecordingBackend.reset()
    outbox.clear()
    return factories.Shop()


def test_tasks_bear_the_names_that_are_published():
    assert {jobs.DELIVER, jobs.COMPLETE, jobs.SWEEP, jobs.PURGE} <= set(current_app.tasks)
    for name in (jobs.DELIVER, jobs.COMPLETE, jobs.SWEEP, jobs.PURGE):
        assert current_app.tasks[name].ignore_result


def test_deliver_sends_once_however_often_it_runs(shop):
    shop.open()
    pk = str(Delivery.objects.get().pk)
    tasks.deliver(pk)
    with unchanged():
        for _ in range(9):
            tasks.deliver(pk)
    assert len(outbox) == 1


def test_deliver_of_what_is_not_there_does_nothing(shop):
    with unchanged():
        tasks.deliver("999999")


def test_deliver_after_the_end_sends_nothing(shop):
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    tasks.deliver(str(Delivery.objects.get().pk))
    assert len(outbox) == 0


def test_deliver_three_days_late_sends_nothing(shop):
    shop.open()
    travel(timedelta(days=3))
    tasks.deliver(str(Delivery.objects.get().pk))
    assert len(outbox) == 0


def test_complete_completes_an_asynchronous_campaign():
    RecordingBackend.reset()
    shop = factories.Shop(completion_mode="async")
    redemption = shop.open()
    assert confirm(shop, redemption, token_of(redemption.challenge)).status == "approved"
    for _ in range(3):
        tasks.complete(str(redemption.pk))
    assert points(redemption) == ("completed", "completed")
    assert RecordingBackend.count("complete") == 1


def test_complete_of_what_is_pending_or_not_there_changes_nothing(shop):
    redemption = shop.open()
    with unchanged():
        tasks.complete(str(redemption.pk))
    with refused(NotFound):
        tasks.complete(str(uuid7()))


def test_sweep_does_what_is_due(shop):
    shop.open()
    tasks.sweep()
    assert len(outbox) == 1


def test_task_runs_under_the_correlation_id_of_its_request(shop):
    with correlation.bound("abc"):
        shop.open()
    current_app.conf.task_always_eager = True
    try:
        with correlation.bound("from-the-request"):
            jobs.publish(jobs.SWEEP, "")
        tasks.deliver.apply_async(args=[str(Delivery.objects.get().pk)], headers={jobs.CORRELATION_HEADER: "bad id\n"})
    finally:
        current_app.conf.task_always_eager = False
    assert Event.objects.get(type="delivery.sent").correlation_id == "abc"


@pytest.mark.django_db(transaction=True)
@override_settings(TWOFA_CHANNELS={"sms": {"BACKEND": "twofa.channels.memory.MemoryChannel"}})
def test_eager_host_sends_within_the_request():
    outbox.clear()
    RecordingBackend.reset()
    current_app.conf.task_always_eager = True
    try:
        redemption = factories.Shop().open()
    finally:
        current_app.conf.task_always_eager = False
    assert [message.token for message in outbox] == [token_of(redemption.challenge)]


def test_purge_erases_what_is_kept_no_longer(shop):
    shop.open()
    travel(timedelta(hours=2))
    tasks.sweep()
    travel(timedelta(days=100))
    tasks.purge()
    assert Delivery.objects.get().address == ""
    with unchanged():
        tasks.purge()


def test_example_s_clock_asks_for_tasks_that_are_there():
    """Read and not imported: it would become this process's current app."""
    asked = set(re.findall(r'"task": "([^"]+)"', (ROOT / "example_project/celery.py").read_text()))
    assert asked == {jobs.SWEEP, jobs.PURGE}
