"""What is masked on every page, shown to one member of staff, once, with a reason and a trace.

Whoever sees all addresses of a campaign can sell them, or ring the participants and ask for their tokens. So pages show
masks, and the whole of one is given out one by one: the event is committed before the caller has the text, so that
nobody sees one and leaves no trace.
"""

from __future__ import annotations

from django.db import models, transaction
from django.views.decorators.debug import sensitive_variables

from twofa.flows.history import Actor, Trail
from twofa.models import Device, Participant
from twofa.models.clock import now


@sensitive_variables()
def show_contact(device: Device, *, actor: Actor, reason: str) -> str:
    """Return a device's address, once the event of it is committed. Raises: NotFound where its owner was erased."""
    address = Device.objects.values_list("address", flat=True).get(pk=device.pk)
    owner = device.participant_id
    _record("device.contact_revealed", device, owner, actor, reason=reason, destination=device.destination)
    return str(address)


@sensitive_variables()
def show_document_number(participant: Participant, *, actor: Actor, reason: str) -> str:
    """Return a participant's document number, once the event of it is committed. Raises: NotFound where erased."""
    number = Participant.objects.values_list("document_number", flat=True).get(pk=participant.pk)
    _record("participant.document_revealed", participant, participant.pk, actor, reason=reason)
    return str(number)


def _record(type_: str, row: models.Model, owner: int, actor: Actor, **data: str) -> None:
    # Durable: inside of a caller's transaction the event could be rolled back after the text was seen.
    with transaction.atomic(durable=True):
        # What staff give as a reason may name the person: none is written behind an erasure's back.
        Participant.objects.select_for_update(no_key=True).get(pk=owner).ensure_kept()
        trail = Trail(actor, now())
        trail.add(type_, row, **data)
        trail.write()
