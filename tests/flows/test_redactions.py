"""A purge is no flaw of the trail, and nobody passes a theft off as one."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from tests import factories
from tests.stories import STAFF, tamper, unchanged
from twofa import alerts
from twofa.exceptions import PolicyRefused
from twofa.flows import purges, redactions, seals
from twofa.flows.audits import Audit, Flaw
from twofa.flows.history import Trail
from twofa.models import Event, EventRedaction, EventSeal
from twofa.models.clock import now
from twofa.models.redaction import build_redaction
from twofa.models.seal import SEALED_COLUMNS

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def written(type_: str, number: int, *, ago: timedelta = 10 * DAY) -> list[int]:
    before = set(Event.objects.values_list("pk", flat=True))
    trail = Trail(STAFF, now() - ago)
    campaign = factories.campaign()
    for count in range(number):
        trail.add(type_, campaign, count=count, destination="+55 •• 91")
    trail.write()
    return sorted(set(Event.objects.values_list("pk", flat=True)) - before)


def sealed(ago: timedelta = 2 * DAY) -> None:
    while seals.seal(now() - ago):
        pass


def found() -> list[tuple[Flaw, int | None]]:
    return [(finding.flaw, finding.event) for finding in Audit().findings()]


def gone(pk: int) -> None:
    """Delete past every model, as somebody with a connection to the database."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM twofa_event WHERE id = %s", [pk])


def purge() -> int:
    return sum(redactions.purge(now()))


@pytest.fixture
def mixed(settings, monkeypatch) -> dict[str, list[int]]:
    """Sixteen sealed events of two kinds that take turns, of which one kind is kept for a week."""
    monkeypatch.setattr(seals, "BATCH", 5)
    settings.TWOFA_RETENTION = {"events": {"delivery": 7 * DAY}}
    ids: dict[str, list[int]] = {"delivery.sent": [], "challenge.issued": []}
    for _ in range(4):
        for type_ in ids:
            ids[type_] += written(type_, 2)
    sealed()
    return ids


def test_purged_events_are_no_flaw_and_are_counted(mixed):
    assert purge() == 8
    audit = Audit()
    assert list(audit.findings()) == []
    assert (audit.purged, audit.redacted, audit.events) == (8, 0, 8)
    assert set(mixed["challenge.issued"]) <= set(Event.objects.values_list("pk", flat=True))
    assert not Event.objects.filter(pk__in=mixed["delivery.sent"]).exists()


def test_purge_is_told_in_the_chain_itself(mixed):
    purge()
    told = Event.objects.filter(type="trail.purged")
    assert sum(event.data["events"] for event in told) == 8
    assert {event.actor_kind for event in told} == {"worker"}
    assert {event.data["proof"] for event in told} == {
        bytes(redaction.digest).hex() for redaction in EventRedaction.objects.all()
    }


def test_events_are_kept_without_a_setting(mixed, settings):
    settings.TWOFA_RETENTION = {}
    with unchanged():
        assert purge() == 0


def test_events_by_which_roles_are_known_stay_whatever_the_setting(mixed, settings):
    """``twofa_roles`` would take its own groups for the host's. A check refuses the setting."""
    written("role.changed", 2, ago=400 * DAY)
    sealed()
    settings.TWOFA_RETENTION = {"events": {"role": 7 * DAY, "role.changed": 7 * DAY}}
    with unchanged():
        assert purge() == 0


def test_longer_beginning_of_a_type_decides(mixed, settings):
    settings.TWOFA_RETENTION = {"events": {"delivery": DAY, "delivery.sent": 365 * DAY, "challenge": 365 * DAY}}
    with unchanged():
        assert purge() == 0


def test_young_event_stays(settings):
    settings.TWOFA_RETENTION = {"events": {"delivery": 7 * DAY}}
    written("delivery.sent", 2, ago=6 * DAY)
    sealed()
    with unchanged():
        assert purge() == 0


def test_event_without_a_seal_stays(settings):
    """Nothing vouches for it; and the sweeper still looks at the gaps of young seals."""
    settings.TWOFA_RETENTION = {"events": {"delivery": 7 * DAY}}
    written("delivery.sent", 2)
    with unchanged():
        assert purge() == 0
    sealed(ago=timedelta(0))
    with unchanged():
        assert purge() == 0


def test_event_that_was_sealed_late_is_purged_too(mixed):
    seals._write(
        list(Event.objects.filter(pk__in=written("delivery.failed", 1)).values_list(*SEALED_COLUMNS)),
        now() - 2 * DAY, after=seals._last(), late=True,
    )  # fmt: skip
    assert purge() == 9
    assert found() == []


def test_purge_that_is_broken_off_goes_on(mixed):
    run = redactions.purge(now())
    first = next(run)
    run.close()
    assert 0 < first < 8
    assert found() == []
    assert purge() == 8 - first
    assert found() == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_purges_at_once_take_each_event_once(mixed, threads):
    assert sum(threads([purge, purge])) == 8
    assert sum(len(list(redaction.ids())) for redaction in EventRedaction.objects.all()) == 8
    assert found() == []


# --- what somebody with a connection to the database may try ----------------------------------------------------------


def test_event_that_was_deleted_by_hand_is_missed_though_others_were_purged(mixed):
    purge()
    gone(mixed["challenge.issued"][0])
    assert found() == [(Flaw.EVENT_REMOVED, mixed["challenge.issued"][0])]


def test_event_made_older_or_of_another_kind_is_not_purged_but_told(mixed, caplog):
    alerts.forget()
    old, kind = mixed["challenge.issued"][0], mixed["challenge.issued"][5]
    tamper(Event.objects.get(pk=old), type="delivery.sent", created_at=now() - 20 * DAY)
    tamper(Event.objects.get(pk=kind), type="delivery.sent")
    with pytest.raises(PolicyRefused) as refused:
        purge()
    assert str(refused.value.detail).startswith("2 events are not what was sealed")
    assert Event.objects.filter(pk__in=[old, kind]).count() == 2
    assert not Event.objects.filter(pk__in=mixed["delivery.sent"]).exists()
    assert found() == [(Flaw.EVENT_CHANGED, old), (Flaw.EVENT_CHANGED, kind)]
    assert [record.alert for record in caplog.records if hasattr(record, "alert")] == ["audit_trail_broken"]
    assert purges.purge().failed == ["events"]


def test_event_under_a_seal_that_was_changed_is_not_purged(mixed):
    seal = EventSeal.objects.get(number=1)
    tamper(seal, count=seal.count + 1)
    with pytest.raises(PolicyRefused):
        purge()
    assert Event.objects.filter(pk__in=mixed["delivery.sent"][:2]).count() == 2


def forged(pk: int) -> EventRedaction:
    """A purge of one event, as somebody writes it who has no key."""
    redaction = build_redaction([pk], (), basis="retention", at=now())
    redaction.digest = bytes(32)
    redaction.save()
    return redaction


def test_purge_that_was_made_up_without_the_key_explains_nothing(mixed):
    victim = mixed["challenge.issued"][0]
    redaction = forged(victim)
    trail = Trail(STAFF, now())
    trail.add("trail.purged", redaction=redaction.pk, events=1, proof=bytes(redaction.digest).hex(), basis="retention")
    trail.write()
    gone(victim)
    assert found() == [(Flaw.REDACTION_BROKEN, None), (Flaw.EVENT_REMOVED, victim)]


def test_purge_that_was_stretched_to_more_events_explains_nothing(mixed):
    purge()
    victim = mixed["challenge.issued"][0]
    redaction = EventRedaction.objects.order_by("pk")[0]
    tamper(redaction, runs=json.dumps([*redaction.runs, [victim, victim]]))
    gone(victim)
    flaws = found()
    assert (Flaw.REDACTION_BROKEN, None) in flaws
    assert (Flaw.EVENT_REMOVED, victim) in flaws


def test_purge_that_no_event_tells_of_explains_nothing(mixed):
    """With the key and the tables one can write a purge; that the chain says so cannot be taken back unseen."""
    victim = mixed["challenge.issued"][0]
    build_redaction([victim], (), basis="retention", at=now()).save()
    gone(victim)
    assert found() == [(Flaw.REDACTION_BROKEN, None), (Flaw.EVENT_REMOVED, victim)]


def test_redaction_that_was_deleted_leaves_its_events_missing(mixed):
    purge()
    EventRedaction.objects.all().delete()
    assert found() == [(Flaw.EVENT_REMOVED, pk) for pk in mixed["delivery.sent"]]


# --- taking out what is personal --------------------------------------------------------------------------------------


def scrubbed(event: dict[str, Any]) -> dict[str, Any]:
    return {"data": {**event["data"], "destination": ""}}


def redact(ids: list[int]) -> int:
    return redactions.redact(ids, scrubbed, basis="erasure", actor=STAFF)


def test_redacted_event_is_no_flaw_and_has_lost_only_what_it_should(mixed):
    ids = mixed["delivery.sent"]
    assert redact(ids) == 8
    audit = Audit()
    assert list(audit.findings()) == []
    assert (audit.purged, audit.redacted) == (0, 8)
    event = Event.objects.get(pk=ids[1])
    assert (event.data, event.type, event.actor) == ({"count": 1, "destination": ""}, "delivery.sent", STAFF.label)
    with unchanged():
        assert redact(ids) == 0


def test_event_changed_after_its_redaction_is_named(mixed):
    pk = mixed["delivery.sent"][0]
    redact([pk])
    tamper(Event.objects.get(pk=pk), actor="somebody else")
    assert found() == [(Flaw.EVENT_CHANGED, pk)]


def test_changed_event_is_not_laundered_by_a_redaction(mixed):
    pk, other = mixed["delivery.sent"][:2]
    tamper(Event.objects.get(pk=pk), actor="somebody else")
    with pytest.raises(PolicyRefused) as refused:
        redact([pk, other])
    assert str(refused.value.detail).startswith("1 events are not what was sealed")
    assert Event.objects.get(pk=pk).data["destination"] == "+55 •• 91"
    assert found() == [(Flaw.EVENT_CHANGED, pk)]


def test_redacted_event_is_purged_when_its_time_is_over(mixed):
    redact(mixed["delivery.sent"])
    assert purge() == 8
    assert found() == []


def test_event_is_redacted_before_its_seal_or_while_it_is_sealed(monkeypatch):
    """A sealer that has read the event already seals what it was: both are explained."""
    before, during = written("delivery.sent", 1), written("delivery.sent", 1)
    redact(before)
    read = seals.build

    def slow(rows, **how):
        seal = read(rows, **how)
        if how["number"] == 1:
            redact(during)
        return seal

    monkeypatch.setattr(seals, "build", slow)
    sealed(ago=timedelta(0))
    assert Event.objects.get(pk=during[0]).data["destination"] == ""
    assert found() == []
    assert {redaction.basis for redaction in EventRedaction.objects.all()} == {"erasure, unsealed"}


# --- hiding a seal, so that a forged event seems to wait for one ------------------------------------------------------


def hidden(seal_numbers: list[int]) -> dict[int, int]:
    """Make seals begin where they end, and return what they were: by the tables alone, without a key."""
    were = dict(EventSeal.objects.filter(pk__in=seal_numbers).values_list("number", "first_event"))
    for number, last in EventSeal.objects.filter(pk__in=seal_numbers).values_list("number", "last_event"):
        EventSeal.objects.filter(pk=number).update(first_event=last)
    return were


def shown_again(were: dict[int, int]) -> None:
    for number, first in were.items():
        EventSeal.objects.filter(pk=number).update(first_event=first)


def test_forged_event_whose_seal_was_hidden_is_not_laundered(mixed):
    """Every seal is, the newest one too, so that none says how far the trail is sealed."""
    pk = mixed["delivery.sent"][0]
    tamper(Event.objects.get(pk=pk), actor="somebody else")
    were = hidden(list(EventSeal.objects.values_list("pk", flat=True)))
    with unchanged(), pytest.raises(PolicyRefused):
        redact([pk])
    shown_again(were)
    assert found() == [(Flaw.EVENT_CHANGED, pk)]


def test_forged_event_whose_own_seal_was_hidden_is_not_laundered(mixed):
    """The newest seal is whole and says that nothing below it waits for one."""
    pk = mixed["delivery.sent"][0]
    tamper(Event.objects.get(pk=pk), actor="somebody else")
    were = hidden([1])
    with unchanged(), pytest.raises(PolicyRefused):
        redact([pk])
    shown_again(were)
    assert found() == [(Flaw.EVENT_CHANGED, pk)]


def test_forged_event_that_was_made_young_is_redacted_and_stays_a_flaw(mixed):
    """What had no seal is told so, under the key: it explains no seal that was there before."""
    pk = mixed["delivery.sent"][0]
    tamper(Event.objects.get(pk=pk), actor="somebody else", created_at=now())
    were = hidden([1])
    assert redact([pk]) == 1
    shown_again(were)
    assert (Flaw.EVENT_CHANGED, pk) in found()


def test_forged_event_whose_seals_were_taken_away_for_a_while_stays_a_flaw(mixed):
    pk = mixed["delivery.sent"][-1]
    tamper(Event.objects.get(pk=pk), actor="somebody else")
    taken = list(EventSeal.objects.filter(last_event__gte=pk))
    EventSeal.objects.filter(last_event__gte=pk).delete()
    assert redact([pk]) == 1
    EventSeal.objects.bulk_create(taken)
    assert (Flaw.EVENT_CHANGED, pk) in found()
    # Nor is it what the next erasure takes for sound.
    before = EventRedaction.objects.count()
    with pytest.raises(PolicyRefused):
        redactions.redact([pk], lambda event: {"actor": "", "data": event["data"]}, basis="erasure", actor=STAFF)
    assert EventRedaction.objects.count() == before


def test_event_in_a_gap_is_redacted_before_it_is_sealed_as_late(mixed):
    """It was committed after its neighbours were sealed, a moment ago."""
    gap = mixed["delivery.sent"][0]
    gone(gap)
    EventSeal.objects.all().delete()
    sealed(ago=timedelta(0))
    restored = Event(pk=gap, type="delivery.sent", created_at=now(), actor_kind="staff", data={"destination": "x"})
    Event.objects.bulk_create([restored])
    assert redact([gap]) == 1
    seals.seal(now())
    assert EventSeal.objects.filter(late=True).count() == 1
    assert found() == []
