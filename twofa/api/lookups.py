"""Finding what a path names, within what the caller may see. What is beyond that does not exist."""

from __future__ import annotations

import re
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from twofa.api.base import parse_id
from twofa.exceptions import NotFound, WrongState
from twofa.flows.storefronts import Caller
from twofa.models import (
    EXTERNAL_ID_PATTERN,
    AccessToken,
    Authenticator,
    Campaign,
    Challenge,
    Device,
    IdentityDocument,
    Participant,
    Redemption,
    RedemptionBatch,
    Storefront,
)

# Checked before the database is asked: a NUL in a path is one more id that does not exist, not an error of the driver.
_SLUG = re.compile(r"[-a-zA-Z0-9_]{1,64}\Z")
_SESSION = re.compile(r"[0-9a-f]{1,24}\Z")
_EXTERNAL_ID = re.compile(rf"(?!\.{{1,2}}\Z){EXTERNAL_ID_PATTERN}\Z")


def ensure_slug(slug: str) -> None:
    """Raise where no campaign can have this slug, before it reaches the database. Raises: NotFound."""
    if not _SLUG.match(slug):
        raise NotFound


def campaign_of(caller: Caller, slug: str) -> Campaign:
    """Return a campaign that the caller's storefront serves, of a participant their own. Raises: NotFound."""
    if _SLUG.match(slug):
        found = Campaign.objects.filter(slug=slug, storefronts=caller.storefront).first()
        if found is not None and (caller.participant is None or caller.participant.campaign_id == found.pk):
            return found
    raise NotFound


def ensure_external_id(external_id: str) -> None:
    """Raise where no participant can have that id. Raises: NotFound."""
    if not _EXTERNAL_ID.match(external_id):
        raise NotFound(resource="participant")


def participant_of(caller: Caller, slug: str, external_id: str) -> Participant:
    """Return a participant of a campaign that the storefront serves, of a participant themselves. Raises: NotFound."""
    campaign = campaign_of(caller, slug)
    if caller.participant is not None and caller.participant.external_id != external_id:
        # Who is there, besides themselves, is no participant's business: not even with a ``resource``.
        raise NotFound
    ensure_external_id(external_id)
    found = Participant.objects.filter(campaign=campaign, external_id=external_id).first()
    if found is None:
        raise NotFound(resource="participant")
    found.campaign = campaign
    return found


def device_of(caller: Caller, text: str) -> Device:
    """Return a device of a participant of the storefront's campaigns, or of the one who calls. Raises: NotFound."""
    rows = Device.objects.filter(uuid=parse_id(text), participant__campaign__storefronts=caller.storefront)
    rows = rows if caller.participant is None else rows.filter(participant=caller.participant)
    found: Device | None = rows.select_related("participant__campaign").first()
    if found is None:
        raise NotFound
    return found


def factor_of(caller: Caller, text: str) -> Device | Authenticator:
    """Return a device, or an authenticator app: both have their ids in one path. Raises: NotFound."""
    rows = Authenticator.objects.filter(uuid=parse_id(text), participant__campaign__storefronts=caller.storefront)
    rows = rows if caller.participant is None else rows.filter(participant=caller.participant)
    found = rows.select_related("participant__campaign").first()
    return device_of(caller, text) if found is None else found


def contact_of(caller: Caller, text: str) -> Device:
    """Return a device that messages go to. Raises: NotFound; WrongState for an app, to which none does."""
    found = factor_of(caller, text)
    if isinstance(found, Authenticator):
        raise WrongState(_("An authenticator app makes its own codes: nothing is sent to it."))
    return found


def session_of(participant: Participant, storefront: Storefront, text: str) -> AccessToken:
    """Return an access token of a participant by way of a storefront, by its prefix. Raises: NotFound."""
    rows = AccessToken.objects.filter(participant=participant, storefront=storefront)
    found = rows.filter(prefix=text).first() if _SESSION.match(text) else None
    if found is None:
        raise NotFound
    return found


def document_of(caller: Caller, text: str) -> IdentityDocument:
    """Return an identity document of a participant as :func:`device_of` does a device. Raises: NotFound."""
    rows = IdentityDocument.objects.filter(pk=parse_id(text), campaign__storefronts=caller.storefront)
    found = (rows if caller.participant is None else rows.filter(participant=caller.participant)).first()
    if found is None:
        raise NotFound
    return found


def redemption_of(caller: Caller, text: str) -> UUID:
    """Return the id of a redemption that the caller may ask for; whether it exists the flow finds out.

    A participant's are those that they redeem by way of the same storefront. Raises: NotFound.
    """
    pk = parse_id(text)
    if caller.participant is not None:
        own = Redemption.objects.filter(pk=pk, participant=caller.participant, storefront=caller.storefront)
        if not own.exists():
            raise NotFound
    return pk


def participant_of_redemption(storefront: Storefront, pk: UUID) -> tuple[str, str]:
    """Return slug and external id of the participant of a storefront's redemption. Raises: NotFound."""
    return _participant_of(Redemption.objects.filter(pk=pk, storefront=storefront))


def participant_of_batch(storefront: Storefront, pk: UUID) -> tuple[str, str]:
    """Return slug and external id of the participant of a storefront's batch. Raises: NotFound."""
    return _participant_of(RedemptionBatch.objects.filter(pk=pk, storefront=storefront))


def participant_of_challenge(storefront: Storefront, pk: UUID) -> tuple[str, str]:
    """Return slug and external id of the participant of a storefront's challenge. Raises: NotFound."""
    return _participant_of(Challenge.objects.filter(pk=pk, storefront=storefront, participant__isnull=False))


def _participant_of(
    rows: QuerySet[Redemption] | QuerySet[RedemptionBatch] | QuerySet[Challenge],
) -> tuple[str, str]:
    found = rows.values_list("campaign__slug", "participant__external_id").first()
    if found is None:
        raise NotFound
    return found
