"""Devices and apps that were registered and never proved: an address that may be anybody's, a secret for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from twofa.conf import conf
from twofa.flows.history import WORKER, Trail
from twofa.models import Authenticator, Challenge, Device, Participant
from twofa.models.clock import now

BATCH = 100

Factor = TypeVar("Factor", Device, Authenticator)


def outdated(at: datetime) -> QuerySet[Device]:
    """Return pending devices that are older than an onboarding is waited for, and about which no token is out."""
    asked = Challenge.objects.filter(subject=OuterRef("pk"), status=Challenge.Status.PENDING)
    pending = Device.objects.filter(status=Device.Status.PENDING).exclude(Exists(asked))
    return pending.filter(created_at__lte=at - conf.retention["onboarding"])


def outdated_apps(at: datetime) -> QuerySet[Authenticator]:
    """Return pending authenticator apps that are older than an onboarding is waited for."""
    pending = Authenticator.objects.filter(status=Authenticator.Status.PENDING)
    return pending.filter(created_at__lte=at - conf.retention["onboarding"])


def purge(at: datetime) -> Iterator[int]:
    """Revoke outdated devices and empty them, each in a transaction of its own; yield how many each chunk had."""
    while keys := _chunk(outdated(at)):
        yield sum(_forget(pk, participant, at) for pk, participant in keys)


def purge_apps(at: datetime) -> Iterator[int]:
    """Revoke outdated apps and erase their secrets, each in a transaction; yield how many each chunk had."""
    while keys := _chunk(outdated_apps(at)):
        yield sum(_forget_app(pk, participant, at) for pk, participant in keys)


def _chunk(rows: QuerySet[Any]) -> list[tuple[int, int]]:
    return list(rows.order_by("pk").values_list("pk", "participant_id")[:BATCH])


def _forget(pk: int, participant: int, at: datetime) -> bool:
    with transaction.atomic():
        device = _still(outdated(at), pk, participant)
        if device is None:
            return False
        trail = Trail(WORKER, now())
        device.change(status=Device.Status.REVOKED, revoked_at=trail.at)
        # Without its mask, which would outlive the address; and without a notice: nobody knows whose it is.
        trail.add("device.revoked", device, reason="abandoned")
        trail.write()
        Device.objects.filter(pk=pk).update(name="", address="", destination="")
    return True


def _forget_app(pk: int, participant: int, at: datetime) -> bool:
    with transaction.atomic():
        app = _still(outdated_apps(at), pk, participant)
        if app is None:
            return False
        trail = Trail(WORKER, now())
        app.change(status=Authenticator.Status.REVOKED, secret=None, revoked_at=trail.at)
        trail.add("authenticator.revoked", app, reason="abandoned")
        trail.write()
        Authenticator.objects.filter(pk=pk).update(name="")
    return True


def _still(rows: QuerySet[Factor], pk: int, participant: int) -> Factor | None:
    """Return what is still abandoned, under the lock under which a token is sent or judged; None: not any more."""
    Participant.objects.select_for_update(no_key=True).get(pk=participant)
    return rows.filter(pk=pk).first()
