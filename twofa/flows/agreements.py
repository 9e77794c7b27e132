"""What a participant agreed to lately: a challenge that their present device answered, spent on one change.

Whoever holds a session must not be able to add a factor of their own, or to print themselves a way in: where a factor
stands, every change is confirmed on it first (OWASP Transaction Authorization, 1.2 and 1.3).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, Max, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import Invalid, NotActive
from twofa.models import Authenticator, Challenge, Device, Participant, Storefront

PREFIX = "step_up:authenticator"
ADD = f"{PREFIX}_add"
REMOVE = f"{PREFIX}_remove"
CODES = "step_up:recovery_codes"
CONTACT = "step_up:device_add"
"""Of a contact, where nothing but an app stands that could agree to it."""


def locked_participant(pk: int) -> Participant:
    """Lock a participant who may take part: before any row of theirs, in the order of all flows.

    Raises: NotFound where they were erased; NotActive.
    """
    rows = Participant.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign", "user")
    participant = rows.get(pk=pk)
    participant.ensure_kept()
    if not (participant.campaign.is_active and participant.is_active and participant.user.is_active):
        raise NotActive
    return participant


def ensure(
    participant: Participant,
    purpose: str,
    answered: UUID | None,
    *,
    storefront: Storefront,
    at: datetime,
    since: datetime | None,
) -> None:
    """Raise where a factor stands that did not agree lately, by the answered challenge of this id.

    ``since`` is the time of the last change of this kind: what was answered before it was spent on it, so one challenge
    lets one change happen. Called with the participant locked, for that to hold in parallel too. Raises: Invalid.
    """
    if not _has_factor(participant):
        return
    after = at - participant.campaign.redemption_ttl
    agreed = Challenge.objects.filter(
        _is_kept(participant),
        participant=participant,
        storefront=storefront,
        purpose=purpose,
        status=Challenge.Status.APPROVED,
        ended_at__gt=after if since is None else max(after, since),
    )
    if answered is None or not agreed.filter(pk=answered).exists():
        detail = _("Ask for a challenge “%(purpose)s” first, and let the participant answer it.") % {"purpose": purpose}
        raise Invalid.field("authorization", "authorization_required", detail)


def ensure_contact(participant: Participant, answered: UUID | None, *, storefront: Storefront, at: datetime) -> None:
    """Raise where only an app stands, and it did not agree to the contact that is registered now. Raises: Invalid.

    Where a contact stands, a token that goes there asks it, later.
    """
    own = Device.objects.filter(participant=participant)
    if not own.filter(status=Device.Status.ACTIVE).exists():
        last = own.aggregate(at=Max("created_at"))["at"]
        ensure(participant, CONTACT, answered, storefront=storefront, at=at, since=last)


def is_outrun(device: Device) -> bool:
    """Tell whether only an app stands, which has not agreed to a contact that was registered before it stood alone.

    It was proved since then; or another contact stood then, which was to be asked, and is no more.
    """
    own = {"participant": device.participant_id}
    if Device.objects.active().filter(**own).exists():
        return False
    apps = Authenticator.objects.active().filter(**own)
    if not stood(Device, device.participant_id, device.created_at):
        apps = apps.filter(activated_at__gte=device.created_at)
    return apps.exists()


def trusted_from(participant: Participant, at: datetime) -> datetime:
    """Return from when a factor that is proved at ``at`` approves orders: at once, where there was never another.

    Never, and not just none now: who revokes all of them, or talks staff into a reset, is not spared the cooling-off.
    """
    proved = {"participant": participant, "activated_at__isnull": False}
    is_first = not (Device.objects.filter(**proved).exists() or Authenticator.objects.filter(**proved).exists())
    return at if is_first else at + participant.campaign.device_cooling_off


def stood(model: type[Device] | type[Authenticator], participant: int, at: datetime) -> bool:
    """Tell whether a participant had a factor of this kind at a time."""
    was_there = Q(revoked_at=None) | Q(revoked_at__gt=at)
    return model.objects.filter(was_there, participant=participant, activated_at__lte=at).exists()


def lost_since(at: Any) -> Q:
    """Return the condition of factors that stood, and were revoked or held after a time."""
    return Q(activated_at__isnull=False) & (Q(revoked_at__gt=at) | Q(held_at__gt=at))


def _is_kept(participant: Participant) -> Q:
    """Return the condition of challenges whose factor was neither revoked nor held since it answered.

    A phone that is reported stolen, by staff or by the link in its own message, has agreed to nothing. What was held
    before can answer with a recovery code alone, and that stands.
    """
    apps = Authenticator.objects.filter(lost_since(OuterRef("ended_at")), participant=participant)
    contact = Q(device__held_at=None) | Q(device__held_at__lte=F("ended_at"))
    return Q(contact, device__status=Device.Status.ACTIVE) | Q(~Exists(apps), device=None)


def _has_factor(participant: Participant) -> bool:
    own = {"participant": participant}
    return Device.objects.active().filter(**own).exists() or Authenticator.objects.active().filter(**own).exists()
