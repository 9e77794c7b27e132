"""Alarms: what every verified contact of a participant is told, and no budget silences."""

from __future__ import annotations

from twofa.flows import issuing
from twofa.flows.history import Trail
from twofa.models import Device, Participant


def tell(
    event: str, participant: Participant, trail: Trail, *, destination: str, leaving_out: Device | None = None
) -> None:
    """Queue a notice to every verified contact: whoever did not ask for the change learns of it.

    Staff choose by switches on which channels it goes. Where that would leave no contact it goes to all of them:
    whoever takes an account over would switch the alarm off first.
    """
    contacts = Device.objects.active().filter(participant=participant)
    told = list(contacts.exclude(pk__in=[] if leaving_out is None else [leaving_out.pk]).order_by("pk"))
    chosen = [contact for contact in told if participant.campaign.sends(event, contact.channel)]
    for contact in chosen or told:
        contact.participant = participant
        issuing.queue_notice(event, contact, at=trail.at, destination=destination)
