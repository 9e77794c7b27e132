"""What a participant agreed to lately: a challenge that their present device answered, spent on one change.

Whoever holds a session must not be able to add a factor of their own, or to print themselves a way in: where a factor
stands, every change is confirmed on it first (OWASP Transaction Authorization, 1.2 and 1.3).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from twofa.exceptions import Invalid, NotActive
from twofa.models import Authenticator, Challenge, Device, Participant, Storefront

PREFIX = "step_up:authenticator"
ADD = f"{PREFIX}_add"
REMOVE = f"{PREFIX}_remove"
CODES = "step_up:recovery_codes"


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
        participant=participant,
        storefront=storefront,
        purpose=purpose,
        status=Challenge.Status.APPROVED,
        ended_at__gt=after if since is None else max(after, since),
    )
    if answered is None or not agreed.filter(pk=answered).exists():
        detail = _("Ask for a challenge of this change first, and let the participant answer it.")
        raise Invalid.field("authorization", "authorization_required", detail)


def _has_factor(participant: Participant) -> bool:
    own = {"participant": participant}
    return Device.objects.active().filter(**own).exists() or Authenticator.objects.active().filter(**own).exists()
