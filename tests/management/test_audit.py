from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.core.management import CommandError

from tests.flows.test_seals import written
from tests.management.test_commands import run
from tests.stories import tamper, unchanged
from twofa import alerts
from twofa.flows import seals
from twofa.management.commands import twofa_audit
from twofa.models import Event, EventSeal
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids() -> list[int]:
    alerts.forget()
    ids = written(3)
    seals.seal(now())
    return ids


def test_sound_trail_is_said_to_be_so_and_how_far(ids, caplog):
    with unchanged():
        out, err = run("twofa_audit")
    assert "3 events under 1 seals, of them 0 sealed late; 0 are not sealed yet." in out
    assert f"Sealed up to event {ids[-1]}. The last seal: {EventSeal.objects.get()}" in out
    assert "as it was sealed" in out
    assert err == ""
    assert not [record for record in caplog.records if record.name == alerts.LOGGER]


def test_flaw_is_named_ends_with_one_and_alerts(ids, caplog):
    tamper(Event.objects.get(pk=ids[1]), actor="x")
    with pytest.raises(CommandError, match="1 finding") as error, caplog.at_level(logging.ERROR):
        run("twofa_audit")
    assert error.value.returncode == 1
    (record,) = [record for record in caplog.records if record.name == alerts.LOGGER]
    assert record.alert == "audit_trail_broken"


def test_last_seal_is_printed_and_taken_as_an_anchor(ids):
    anchor = run("twofa_audit", "--last")[0].strip()
    assert anchor == str(EventSeal.objects.get())
    assert "as it was sealed" in run("twofa_audit", "--anchor", anchor)[0]
    with pytest.raises(CommandError, match="1 finding"):
        run("twofa_audit", "--anchor", "1:" + "00" * 32)


@pytest.mark.parametrize("anchor", ["", "1", "x:00", "1:zz"])
def test_malformed_anchor_is_refused(ids, anchor):
    with pytest.raises(CommandError, match="as it was printed"):
        run("twofa_audit", "--anchor", anchor)


def test_without_a_seal_there_is_nothing_to_note():
    with pytest.raises(CommandError, match="no seal yet"):
        run("twofa_audit", "--last")


def test_progress_is_told(ids, monkeypatch):
    monkeypatch.setattr(twofa_audit, "TOLD_EVERY", 1)
    assert "3 events verified" in run("twofa_audit")[1]


def test_events_that_were_sealed_belatedly_are_told_and_are_no_flaw():
    written(2, ago=timedelta(days=3))
    seals.seal(now())
    out, _err = run("twofa_audit")
    assert "2 events were sealed more than an hour after they were written, the last of them by seal 1." in out
    assert "as it was sealed" in out
