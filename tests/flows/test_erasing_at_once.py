"""An erasure beside others: another run of itself, the sweeper that erases files, reviewers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.dumps import found_in_tables
from tests.lives import TRACES, Life
from tests.stories import STAFF
from twofa.flows import audits, erasures, forgetting, seals
from twofa.models import Event, IdentityDocument, Participant
from twofa.models.clock import now

TABLES = ["twofa_participant", "twofa_identitydocument", "twofa_documentfile"]

pytestmark = pytest.mark.django_db


def erase(life: Life) -> erasures.Erasure:
    return erasures.erase(life.participant, actor=STAFF, reason="request 17")


def told(type_: str) -> int:
    return Event.objects.filter(type=type_).count()


def test_document_that_waits_is_withdrawn_as_by_everybody_else(life):
    """With a new version, so that whoever has it open in the queue loses; and with an event."""
    waiting = IdentityDocument.objects.waiting().get(participant=life.participant)
    before = waiting.version
    erase(life)
    waiting.refresh_from_db()
    assert waiting.version > before
    assert not waiting.is_waiting
    event = Event.objects.get(type="document.replaced")
    assert (event.participant_id, event.data) == (life.participant.pk, {"document": str(waiting.pk)})


def test_run_that_comes_while_another_ends_keeps_the_pseudonym(life, monkeypatch):
    rename, first = erasures._rename, []

    def meanwhile(participant, *args):
        monkeypatch.setattr(erasures, "_rename", rename)
        first.append(erase(life).pseudonym)
        return rename(participant, *args)

    monkeypatch.setattr(erasures, "_rename", meanwhile)
    assert erase(life).pseudonym == first[0] == life.participant.external_id
    assert told("participant.erased") == 1
    assert found_in_tables(*TRACES) == set()


def test_run_that_had_read_the_participant_before_another_ended_changes_nothing(life):
    stale = life.participant
    pseudonym = erase(life).pseudonym
    seals.seal(now() + timedelta(hours=1))
    fingerprints = set(IdentityDocument.objects.values_list("fingerprint", flat=True))
    assert erasures.erase(stale, actor=STAFF, reason="request 17").pseudonym == pseudonym
    assert set(IdentityDocument.objects.values_list("fingerprint", flat=True)) == fingerprints
    assert (told("participant.erasure_begun"), told("participant.erased")) == (1, 1)
    assert not Participant.objects.get(pk=stale.pk).is_active


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_runs_at_the_same_moment_are_one_erasure(life, threads):
    one, two = threads([lambda: erase(life), lambda: erase(life)])
    assert one.pseudonym == two.pseudonym == life.participant.external_id
    assert (told("participant.erasure_begun"), told("participant.erased")) == (1, 1)
    assert list(audits.Audit().findings()) == []


@pytest.mark.postgres
def test_rows_are_locked_in_the_order_of_all_flows(life, sql):
    """Whoever notes that a file is gone holds its document, and whoever decides one holds the participant."""
    with sql() as statements:
        forgetting.forget_documents(life.participant, STAFF)
    locks = [sql for sql in statements.counted if "FOR NO KEY UPDATE" in sql or "UPDATE " in sql[:8]]
    tables = [next(t for t in TABLES if f'"{t}"' in lock) for lock in locks]
    assert list(dict.fromkeys(tables)) == TABLES
