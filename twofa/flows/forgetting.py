"""What is forgotten in an erasure, step by step: documents, devices, authenticator apps, messages.

Each step is a transaction of its own and may be done again: ``erasures`` says in which order.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.db import models, transaction
from django.db.models import Q

from twofa.flows import approvers, authenticators, document_files, onboarding, outbox, prefixes
from twofa.flows.history import Actor, Trail
from twofa.models import (
    Case,
    Challenge,
    Delivery,
    Device,
    DocumentFile,
    IdentityDocument,
    Participant,
    Redemption,
)
from twofa.models.clock import now
from twofa.models.purpose import DIGESTS_OF_ORDERS

CHUNK = 200


def locked(participant: Participant) -> Participant:
    """Lock the participant, before anything of theirs: in the order of all flows."""
    # Without its user: where another run gives it a new one while this waits, PostgreSQL finds the join empty.
    rows = Participant.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign")
    return rows.get(pk=participant.pk)


def forget_documents(participant: Participant, actor: Actor) -> int:
    """Forget the keys of files, so that no backup of them can be read, and what staff wrote."""
    with transaction.atomic():
        locked(participant)
        trail = Trail(actor, now())
        # Documents before their files: whoever notes that a file is gone locks them in this order.
        documents = list(IdentityDocument.objects.filter(participant=participant).select_for_update(no_key=True))
        for document in documents:
            if document.is_waiting:
                # Out of the queue: there is nothing left to look at.
                onboarding.withdraw(document, trail)
            # Random and not empty: the same for all would be the same picture of all.
            blank = {"fingerprint": secrets.token_bytes(32), "fingerprint_kid": ""}
            IdentityDocument.objects.filter(pk=document.pk).update(comment="", internal_comment="", **blank)
        # Not those of an upload that is just under way: it will be refused, and take away what it has stored itself.
        document_files.shred(DocumentFile.objects.filter(document__in=documents), trail.at)
        trail.write()
    return len(documents)


def forget_devices(participant: Participant, actor: Actor) -> int:
    """Revoke the devices without a notice: who asked to be forgotten is not written to."""
    devices = Device.objects.filter(participant=participant)
    with transaction.atomic():
        trail = Trail(actor, now())
        prefixes.forget(devices.values_list("address", flat=True), actor=actor)
        for device in devices.select_for_update(no_key=True):
            if device.status != Device.Status.REVOKED:
                device.change(status=Device.Status.REVOKED, confirmed=False, is_default=False, revoked_at=trail.at)
                trail.add("device.revoked", device, reason="erased")
        trail.write()
        return devices.update(name="", address="", destination="")


def forget_authenticators(participant: Participant, actor: Actor) -> None:
    """Revoke apps and delete recovery codes without a notice: secrets and digests are gone with the commit."""
    with transaction.atomic():
        trail = Trail(actor, now())
        authenticators.forget(locked(participant), trail)
        trail.write()


def forget_messages(participant: Participant, actor: Actor) -> int:
    """Erase where messages and tokens went, and stop those that wait; return how many messages there were."""
    blank = {"address": "", "destination": ""}
    deliveries = Delivery.objects.filter(Q(participant=participant) | Q(challenge__participant=participant))
    with transaction.atomic():
        trail = Trail(actor, now())
        for row in deliveries.open().select_for_update(no_key=True, of=("self",)).select_related("challenge"):
            row.destination = ""
            outbox.move(row, trail, Delivery.Status.SUPERSEDED, reason="erased")
        trail.write()
    count = update(deliveries, **blank, prefix="", context={}, early_report=None, provider_message_id="")
    challenges = Challenge.objects.filter(Q(participant=participant) | approvers.answered_by(participant))
    update(challenges, **blank, accepted=None)
    update(challenges.exclude(purpose__in=DIGESTS_OF_ORDERS), transaction_digest=b"", description="")
    # What a backend or staff wrote of a failure; its code stays. No digest covers it.
    update(Redemption.objects.filter(participant=participant), failure_detail="")
    update(Case.objects.filter(Q(participant=participant) | Q(device__participant=participant)), note="")
    return count


def update(rows: models.QuerySet[Any], **changes: Any) -> int:
    """Change all rows, a chunk to a transaction."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    chunks = [keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK)]
    return sum(rows.model._base_manager.filter(pk__in=chunk).update(**changes) for chunk in chunks)
