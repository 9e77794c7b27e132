"""One contact serves few participants of a campaign: a phone that answers for dozens of accounts is a farm's.

A family shares a phone. Whoever opens accounts to collect points, or took them over, points as many as they have at a
phone of their own, and each second factor is then theirs (``TWOFA_PARTICIPANTS_PER_CONTACT``).

Asked twice. When a token is about to be sent to a new device, so that nobody proves what they could not use; and when
it was proved, because two may have been on their way. Pending devices count for a day only, and never against one that
was proved: they prove nothing. Whoever holds a few accounts can still keep a stranger's phone from being registered,
as long as they register it anew each day: it gets their messages, each refusal is an alert, and staff see whose it is.

**What the refusal gives away**: that others use this contact. Silence would hide it, and would leave the rest of a
family waiting for a token that never comes. To learn about a stranger's phone one must hold as many accounts as the
limit but one and register the phone for each: each time it receives a message, inside the budgets, and the refusal is
an alert. The text names neither limit nor reason, and on activation it is told to those alone who have the contact in
hand.
"""

from __future__ import annotations

from django.db import connection
from django.db.models import CharField, Q, Value
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from twofa import alerts
from twofa.alerts import Alert
from twofa.conf import conf
from twofa.exceptions import Invalid
from twofa.flows.facts import DAY
from twofa.flows.history import Trail
from twofa.models import Challenge, Device, statements
from twofa.models.clock import now

REFUSED = "device.contact_refused"

# Participants who share a contact lock different rows, and each would find the last place free. After the row locks
# and before the turns of the budgets, so that nobody waits in a circle (ADR 0004).
_TURN = statements.Select(
    "", extra={"turn": ("pg_advisory_xact_lock(hashtextextended(%(contact_turn)s, 0))", CharField())}
)


def ensure_room(device: Device) -> None:
    """Raise where too many others use the contact of a pending device. Call it with the participant locked.

    Raises: Invalid, with ``contact_in_use``.
    """
    _ensure_room(device.participant.campaign_id, device.address, device.participant_id)


def ensure_room_for_another(campaign: int, address: str) -> None:
    """Raise where too many use a contact for one more participant to prove it. Raises: Invalid."""
    _ensure_room(campaign, address, None)


def _ensure_room(campaign: int, address: str, participant: int | None) -> None:
    if _is_full(campaign, address, participant, pending_too=True):
        alerts.sound(Alert.CONTACT_REFUSED, campaign=campaign, participant=participant)
        raise refusal()


def refused_when_proved(device: Device, trail: Trail) -> Invalid | None:
    """Return why a device that was proved is not activated, having noted it, or None. With the participant locked.

    A value and no exception: the right token stays charged. What rolled back here would be a free guess.
    """
    if not _is_full(device.participant.campaign_id, device.address, device.participant_id, pending_too=False):
        return None
    trail.add(REFUSED, device, destination=device.destination)
    return refusal()


def refused_to_another(challenge: Challenge, trail: Trail) -> Invalid | None:
    """Return why nobody is registered with the contact that a verification proved, having noted it, or None."""
    if not _is_full(challenge.campaign_id, challenge.address, None, pending_too=False):
        return None
    trail.add(REFUSED, challenge, destination=challenge.destination)
    return refusal()


def was_refused(device: Device, challenge: Challenge) -> bool:
    """Tell whether the approved challenge proved the device in vain: then it is still pending."""
    return challenge.action == Challenge.Action.VERIFY and device.status == Device.Status.PENDING


def refusal() -> Invalid:
    """Return the error."""
    return Invalid.field("address", "contact_in_use", _("This contact cannot be used here. Give another one."))


def _is_full(campaign_id: int, address: str, participant: int | None, *, pending_too: bool) -> bool:
    limit = conf.participants_per_contact
    if limit is None:
        return False
    # The channel is left out: one phone is one contact, by SMS and by WhatsApp. So are the capitals of an address.
    address = address.lower()
    if connection.vendor == "postgresql":
        _TURN.rows(contact_turn=f"twofa:contact:{campaign_id}:{address}")
    counted = Q(status=Device.Status.ACTIVE)
    if pending_too:
        counted |= Q(status=Device.Status.PENDING, created_at__gt=now() - DAY)
    same = Device.objects.living().alias(contact=Lower("address")).filter(contact=Lower(Value(address)))
    others = same.filter(counted, participant__campaign=campaign_id)
    if participant is not None:
        others = others.exclude(participant=participant)
    return others.values("participant").distinct().count() >= limit
