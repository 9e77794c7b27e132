"""Notices: what a participant is told besides tokens, in the transaction that makes it true.

One that is over a budget of sends is dropped with an event: what it tells of has happened, and is no error for that.
(The alarms about devices are ``flows.alarms``: they go to every contact, and no budget silences them.)
"""

from __future__ import annotations

from collections.abc import Mapping

from twofa.flows import destinations, facts, issuing
from twofa.flows.history import Trail
from twofa.models import Channel, IdentityDocument, Participant, Redemption
from twofa.models.message import is_switched_on


def of_redemption(event: str, redemption: Redemption, switches: Mapping[str, bool], trail: Trail) -> None:
    """Queue a notice about a redemption, if its campaign sends it; nothing is read where it does not.

    A line of a batch has none: a hundred prizes that one token approved would be a hundred messages.
    """
    if redemption.batch_id is not None or not _goes_out(switches, event):
        return
    rows = Participant.objects.select_related("campaign")
    order = {"amount": str(redemption.amount), "unit": redemption.unit, "item": redemption.description}
    _queue(event, rows.get(pk=redemption.participant_id), trail, redemption, **order)


def of_document(document: IdentityDocument, participant: Participant, trail: Trail) -> None:
    """Queue the notice of a decision about a document; of a refusal with its coded reason, and no word of staff's."""
    event = f"document.{document.decision}"
    if _goes_out(participant.campaign.message_switches, event):
        _queue(event, participant, trail, document=document.kind, reason=document.reason)


def _goes_out(switches: Mapping[str, bool], event: str) -> bool:
    return any(is_switched_on(switches, event, channel) for channel in Channel.values)


def _queue(
    event: str, participant: Participant, trail: Trail, redemption: Redemption | None = None, **context: str
) -> None:
    """Queue a notice to the participant's default device, or to the next one that may be sent it.

    The participant need not be locked: whoever sends to the same address waits for the turn, and a message to another
    one that is counted at this moment may come to one more than the participant's budget.
    """
    campaign = participant.campaign
    devices, _read_at = destinations.devices_of(participant)
    contact = destinations.for_notice(devices, campaign=campaign, event=event)
    if contact is None:
        return
    about = [row for row in (redemption, participant) if row is not None]
    budgets = facts.budgets(participant=participant, campaign=campaign, contact=contact)
    if not issuing.within_send_budgets(budgets, campaign, participant.pk):
        trail.add("notice.dropped", *about, message=event, channel=contact.channel, reason="send_budget")
        return
    contact.participant = participant
    issuing.queue_notice(event, contact, at=trail.at, **context)
