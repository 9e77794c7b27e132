"""What is lawfully taken out of the trail while it is verified is no flaw, and hides none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.flows.test_redactions import DAY, sealed, written
from tests.stories import STAFF, tamper
from twofa.exceptions import PolicyRefused
from twofa.flows import redactions, seals
from twofa.flows.audits import Audit, Flaw
from twofa.models import Event, EventRedaction
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids(settings, monkeypatch) -> list[int]:
    """Ten outdated events under two seals."""
    monkeypatch.setattr(seals, "BATCH", 5)
    settings.TWOFA_RETENTION = {"events": {"delivery": 7 * DAY}}
    ids = written("delivery.sent", 10)
    sealed()
    return ids


def blank(event: dict[str, Any]) -> dict[str, Any]:
    return {"data": {**event["data"], "destination": ""}}


def purge(_audit: object = None) -> None:
    list(redactions.purge(now()))


def redact(_audit: object = None) -> None:
    rows = Event.objects.filter(type="delivery.sent").order_by("pk")
    redactions.redact(list(rows.values_list("pk", flat=True)), blank, basis="erasure", actor=STAFF)


@pytest.mark.parametrize("take", [purge, redact])
def test_events_taken_out_after_the_run_began_are_no_flaw(ids, take):
    audit = Audit(progress=take)
    assert list(audit.findings()) == []
    assert audit.purged + audit.redacted == 5
    assert EventRedaction.objects.exists()


def test_redactions_are_read_before_the_events_that_tell_of_them(ids, sql):
    """The other way round, one that is committed in between would be told by nothing."""
    with sql() as statements:
        list(Audit().findings())
    first = [statement for statement in statements.counted if "twofa_event" in statement][:2]
    assert 'FROM "twofa_eventredaction"' in first[0]
    assert "proof" in first[1]


def test_theft_during_a_purge_is_named(ids):
    def steal(audit: Audit) -> None:
        if audit.seals == 1:
            tamper(Event.objects.get(pk=ids[7]), actor="somebody else")
            with pytest.raises(PolicyRefused):
                purge()

    findings = [(finding.flaw, finding.event) for finding in Audit(progress=steal).findings()]
    assert findings == [(Flaw.EVENT_CHANGED, ids[7])]


def test_redaction_that_no_event_tells_of_explains_nothing_though_it_came_meanwhile(ids):
    def forge(audit: Audit) -> None:
        if audit.seals == 1:
            purge()
            own = Event.objects.filter(type="trail.purged").order_by("-pk")[0]
            tamper(own, type="trail.other")

    findings = list(Audit(progress=forge).findings())
    assert {finding.flaw for finding in findings} == {Flaw.EVENT_REMOVED}
    assert [finding.event for finding in findings] == ids[5:]


def test_statements_do_not_grow_with_what_was_taken(ids, sql):
    with sql() as before:
        list(Audit().findings())
    purge()
    seals.seal(now() + timedelta(hours=1))
    with sql() as after:
        assert list(Audit().findings()) == []
    # One for each seal of which something is gone, and two for the seal of the events that tell of it.
    assert len(after) <= len(before) + 2 + 2
