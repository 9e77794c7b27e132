"""A key that has left the ring: nothing that needs it is begun, and it is not called a broken trail."""

from __future__ import annotations

import secrets
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.dumps import found_in_tables
from tests.lives import EXTERNAL_ID, TRACES
from tests.management.test_commands import run
from tests.stories import STAFF, travel, unchanged
from twofa import alerts
from twofa.exceptions import KeyMissing
from twofa.flows import audits, erasures, purges, redactions, seals
from twofa.flows.history import Trail
from twofa.models import Event, EventSeal
from twofa.models.clock import now
from twofa.models.seal import SEALED_COLUMNS, build

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documents_folder")]


@pytest.fixture
def ring(life, settings) -> dict[str, bytes]:
    """Return the ring before: the test takes its keys away, as somebody does who rotated them."""
    before = dict(settings.TWOFA_TOKEN_KEYS)
    settings.TWOFA_TOKEN_KEYS = {"new": secrets.token_bytes(32)}
    return before


@pytest.fixture
def old_events(life, settings) -> None:
    """Her life is more than a year ago, and sealed under the old key."""
    settings.TWOFA_RETENTION = {"events": {"delivery": timedelta(days=365), "device": timedelta(days=365)}}
    EventSeal.objects.all().delete()
    travel(timedelta(days=400))
    seals.seal(now() - timedelta(days=2))


def told(caplog) -> list[tuple[str, dict[str, str]]]:
    return [(record.alert, record.alert_ids) for record in caplog.records if hasattr(record, "alert")]


def test_erasure_names_the_key_before_it_does_anything(life, ring, caplog):
    alerts.forget()
    with unchanged(), pytest.raises(KeyMissing) as missing:
        erasures.erase(life.participant, actor=STAFF, reason="request 17")
    assert missing.value.kid == EventSeal.objects.latest("number").kid == next(iter(ring))
    assert missing.value.kid in str(missing.value.detail)
    assert life.participant.is_active
    assert told(caplog) == []


def test_command_names_the_key_and_ends_with_one(life, ring):
    with unchanged(), pytest.raises(CommandError, match=next(iter(ring))) as error:
        run("twofa_erase", life.shop.campaign.slug, EXTERNAL_ID)
    assert error.value.returncode == 1


def test_erasure_is_done_with_both_keys(life, ring, settings):
    settings.TWOFA_TOKEN_KEYS = {**settings.TWOFA_TOKEN_KEYS, **ring}
    erasures.erase(life.participant, actor=STAFF, reason="request 17")
    assert found_in_tables(*TRACES) == set()
    assert list(audits.Audit().findings()) == []


def test_erasure_that_was_broken_off_needs_the_key_of_its_redactions_too(life, settings, monkeypatch):
    def crash(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(erasures, "_rename", crash)
        with pytest.raises(KeyboardInterrupt):
            erasures.erase(life.participant, actor=STAFF, reason="request 17")
    travel(timedelta(hours=1))
    seals.seal(now())
    settings.TWOFA_TOKEN_KEYS = {"new": secrets.token_bytes(32)}
    # All is redacted, so that nothing has to be compared any more.
    erasures.erase(life.participant, actor=STAFF, reason="request 17")
    assert found_in_tables(*TRACES) == set()


def test_key_that_no_event_of_the_person_needs_holds_nothing_up(life, settings):
    """What is under it is what others did."""
    of_others = Event.objects.exclude(participant=life.participant.pk).exclude(type="redemptions.exported")
    rows = list(of_others.order_by("pk").values_list(*SEALED_COLUMNS))
    EventSeal.objects.all().delete()
    build(rows, number=1, previous=b"", sealed_at=now()).save(force_insert=True)
    settings.TWOFA_TOKEN_KEYS = {"new": secrets.token_bytes(32)}
    redactions.ensure_keys(list(Event.objects.order_by("pk").values_list("pk", flat=True)), blank)
    with pytest.raises(KeyMissing):
        redactions.ensure_keys([rows[0][0]], lambda _event: {"actor": "somebody else"})


def test_event_that_is_younger_than_the_seals_of_the_lost_key_needs_it_too(life, ring):
    """It is held against the newest of them: without that nobody can say that it only waits for a seal."""
    trail = Trail(STAFF, now())
    trail.add("device.registered", life.shop.device, destination="+55 •• 91")
    trail.write()
    with unchanged(), pytest.raises(KeyMissing):
        redactions.ensure_keys([Event.objects.latest("pk").pk], blank)


def blank(event: dict[str, Any]) -> dict[str, Any]:
    return {"data": {**event["data"], "destination": ""}} if event["data"].get("destination") else {}


def test_purge_says_that_a_key_is_missing_and_not_that_the_trail_is_broken(old_events, ring, caplog):
    alerts.forget()
    before = list(Event.objects.values_list("pk", flat=True))
    purged = purges.purge()
    assert (purged.failed, purged.keys_missing) == (["events"], list(ring)[:1])
    assert Event.objects.filter(pk__in=before).count() == len(before)
    assert told(caplog) == [("purge_failed", {"step": "events", "reason": "key_missing"})]


def test_purge_command_names_the_key_and_ends_with_one(old_events, ring, settings):
    told = StringIO()
    with pytest.raises(CommandError, match="Not all was erased") as error:
        call_command("twofa_purge", stdout=StringIO(), stderr=told)
    assert error.value.returncode == 1
    assert f"Key missing: “{next(iter(ring))}” is not in TWOFA_TOKEN_KEYS" in told.getvalue()
    settings.TWOFA_TOKEN_KEYS = {**settings.TWOFA_TOKEN_KEYS, **ring}
    out, _err = run("twofa_purge")
    assert "events: 0" not in out
    assert not Event.objects.filter(type__startswith="delivery").exists()


def test_purge_takes_what_is_under_other_keys(old_events, ring):
    """A key that is gone for good must not keep all that came after it."""
    of_old_key = list(Event.objects.values_list("pk", flat=True))
    trail = Trail(STAFF, now() - timedelta(days=390))
    trail.add("device.registered", name="new")
    trail.write()
    seals.seal(now() - timedelta(days=2))
    assert EventSeal.objects.latest("number").kid == "new"
    purged = purges.purge()
    assert (purged.counts["events"], purged.failed) == (1, ["events"])
    assert Event.objects.filter(pk__in=of_old_key).count() == len(of_old_key)
    assert not Event.objects.filter(data__name="new").exists()
