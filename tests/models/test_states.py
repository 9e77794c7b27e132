from __future__ import annotations

import itertools

import pytest

from tests.stories import stored
from twofa.exceptions import TransitionRefused
from twofa.models import (
    Authenticator,
    Case,
    Challenge,
    Delivery,
    Device,
    IdentityDocument,
    Redemption,
    RedemptionBatch,
    Webhook,
    writes,
)
from twofa.models.ids import uuid7
from twofa.models.states import StateMachine, final_states

pytestmark = pytest.mark.django_db

# The tables of the design, written a second time.
LAW = {
    (Challenge, "status"): {
        ("pending", "approved"),
        ("pending", "rejected"),
        ("pending", "expired"),
        ("pending", "cancelled"),
    },
    (Redemption, "status"): {
        ("pending_2fa_approval", "approved"),
        ("pending_2fa_approval", "rejected"),
        ("pending_2fa_approval", "expired"),
        ("pending_2fa_approval", "cancelled"),
        ("approved", "scheduled"),
        ("approved", "completed"),
        ("approved", "failed"),
        ("scheduled", "completed"),
        ("scheduled", "failed"),
        ("scheduled", "cancelled"),
    },
    (RedemptionBatch, "status"): {
        ("pending_2fa_approval", "completing"),
        ("pending_2fa_approval", "rejected"),
        ("pending_2fa_approval", "expired"),
        ("pending_2fa_approval", "cancelled"),
        ("completing", "completed"),
        ("completing", "partly_completed"),
        ("completing", "failed"),
    },
    (Redemption, "points"): {("none", "reserved"), ("reserved", "completed"), ("reserved", "released")},
    (IdentityDocument, "status"): {
        ("pending", "approved"),
        ("pending", "rejected"),
        ("pending", "purged"),
        ("approved", "expired"),
        ("approved", "purged"),
        ("rejected", "purged"),
        ("expired", "purged"),
    },
    (IdentityDocument, "decision"): {("", "approved"), ("", "rejected"), ("approved", "expired")},
    (Case, "status"): {("open", "closed")},
    (Authenticator, "status"): {("pending", "active"), ("pending", "revoked"), ("active", "revoked")},
    (Device, "status"): {("pending", "active"), ("pending", "revoked"), ("active", "revoked")},
    (Delivery, "status"): {
        ("queued", "sending"),
        ("queued", "failed"),
        ("queued", "superseded"),
        ("queued", "expired"),
        ("sending", "sending"),
        ("sending", "queued"),
        ("sending", "sent"),
        ("sending", "failed"),
        ("sending", "superseded"),
        ("sending", "expired"),
        ("sent", "delivered"),
        ("sent", "failed"),
    },
    (Webhook, "status"): {
        ("queued", "sending"),
        ("queued", "failed"),
        ("sending", "sending"),
        ("sending", "queued"),
        ("sending", "sent"),
        ("sending", "failed"),
        ("sent", "queued"),
        ("failed", "queued"),
    },
}


def test_every_machine_is_under_the_law():
    machines = {(model, column) for model in StateMachine.__subclasses__() for column in model.MACHINES}
    assert machines == set(LAW)


@pytest.mark.parametrize(("model", "column"), LAW, ids=str)
def test_state_changes_along_the_law_and_not_otherwise(model, column, monkeypatch):
    """Every pair: what is allowed reaches the database as one UPDATE, what is not never gets there."""
    written = []
    monkeypatch.setattr(writes, "update", lambda _row, changes, _expected, lost: written.append(changes))
    for before, after in itertools.product(model.MACHINES[column], repeat=2):
        row = model(pk=7 if model in (Device, Delivery, Webhook) else uuid7(), **{column: before})
        written.clear()
        try:
            row.change(**{column: after})
        except TransitionRefused:
            assert (before, after) not in LAW[model, column]
            assert (written, getattr(row, column)) == ([], before)
        else:
            assert (before, after) in LAW[model, column]
            assert (written, getattr(row, column)) == ([{column: after}], after)


@pytest.mark.parametrize(("model", "column"), LAW, ids=str)
def test_states_of_a_machine_are_those_of_its_column(model, column):
    assert set(model.MACHINES[column]) == {value for value, _label in model._meta.get_field(column).flatchoices}


def test_change_is_refused_where_the_row_has_moved(shop):
    redemption = shop.open()
    outdated = Redemption.objects.get(pk=redemption.pk)
    Redemption.objects.filter(pk=redemption.pk).update(status="rejected")
    before = stored()
    with pytest.raises(TransitionRefused):
        outdated.change(status="cancelled")
    assert stored() == before


def test_change_is_refused_where_a_guarded_column_has_moved(shop):
    challenge = shop.open().challenge
    outdated = Challenge.objects.get(pk=challenge.pk)
    Challenge.objects.filter(pk=challenge.pk).update(attempts=3)
    before = stored()
    with pytest.raises(TransitionRefused):
        outdated.change(attempts=1, guard=("attempts",))
    assert stored() == before


def test_change_without_a_state_still_needs_the_state(shop):
    """A write of another column is lost as well when the row has ended meanwhile."""
    challenge = shop.open().challenge
    outdated = Challenge.objects.get(pk=challenge.pk)
    verdict = {"status": "cancelled", "seed": None, "ended_at": challenge.created_at}
    Challenge.objects.filter(pk=challenge.pk).update(**verdict)
    with pytest.raises(TransitionRefused):
        outdated.change(resends=1)
    assert Challenge.objects.get(pk=challenge.pk).resends == 0


def test_version_counts_and_guards_each_move(shop):
    redemption = shop.open()
    outdated = Redemption.objects.get(pk=redemption.pk)
    current = Redemption.objects.get(pk=redemption.pk)
    current.move(at=current.updated_at, completion_tries=1)
    assert current.version == 2
    with pytest.raises(TransitionRefused):
        outdated.move(at=current.updated_at, completion_tries=2)


def test_final_states_are_those_that_nothing_leaves():
    assert final_states({"a": frozenset({"b"}), "b": frozenset()}) == {"b"}
    assert {"completed", "failed", "rejected", "expired", "cancelled"} == Redemption.FINAL
    assert {"approved", "rejected", "expired", "cancelled"} == Challenge.FINAL
