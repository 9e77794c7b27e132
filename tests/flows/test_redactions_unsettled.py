"""Events whose seal is still young are passed over, and cost the purge no look each."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.flows.test_redactions import DAY, purge, sealed, written
from twofa.exceptions import PolicyRefused
from twofa.flows import redactions, seals
from twofa.models import Event, EventSeal
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small(settings, monkeypatch) -> None:
    monkeypatch.setattr(seals, "BATCH", 10)
    settings.TWOFA_RETENTION = {"events": {"delivery": 7 * DAY}}


def test_page_without_an_old_seal_costs_one_look(sql):
    ids = written("delivery.sent", 60)
    sealed(ago=timedelta(0))
    with sql() as statements:
        assert purge() == 0
    assert len(statements) <= 8
    assert Event.objects.filter(pk__in=ids).count() == 60


def test_what_lies_behind_young_seals_is_purged_all_the_same(sql):
    """As after older parts were sealed anew, and with pages that end anywhere between."""
    young, old = written("delivery.sent", 40), written("delivery.failed", 15)
    sealed()
    EventSeal.objects.filter(first_event__lte=young[-1]).update(sealed_at=now())
    with sql() as statements:
        assert purge() == 15
    assert len(statements) <= 40
    assert list(Event.objects.filter(type__startswith="delivery").values_list("pk", flat=True)) == young[::-1]
    assert not Event.objects.filter(pk__in=old).exists()


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_pages_of_any_length_take_the_same(monkeypatch, batch):
    first, young, last = (written("delivery.sent", 10) for _ in range(3))
    sealed()
    EventSeal.objects.filter(first_event=young[0]).update(sealed_at=now())
    monkeypatch.setattr(redactions, "BATCH", batch)
    assert purge() == 20
    assert sorted(Event.objects.filter(type="delivery.sent").values_list("pk", flat=True)) == young
    assert not Event.objects.filter(pk__in=[*first, *last]).exists()


def test_event_in_the_gap_of_an_old_seal_is_passed_over_alone():
    ids = written("delivery.sent", 9)
    sealed()
    (seal,) = EventSeal.objects.all()
    gap = ids[3]
    EventSeal.objects.filter(pk=seal.pk).update(runs=[[ids[0], gap - 1], [gap + 1, ids[-1]]])
    # The seal is broken, so its events stay: but each of them was looked at.
    with pytest.raises(PolicyRefused) as refused:
        purge()
    assert "8" in str(refused.value.detail)
    assert Event.objects.filter(pk__in=ids).count() == 9
