"""What a contact verification is for: a new participant begins with the contact that was proved, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from twofa.exceptions import ChallengeClosed, Invalid, NotFound, PurposeMismatch, TwoFactorError
from twofa.flows import changes, contact_verifications, shared_contacts, verdicts
from twofa.flows.facts import Standing
from twofa.flows.history import Trail
from twofa.models import Campaign, Challenge, Device, LoginGrant, Participant, Purpose, Storefront


@dataclass(frozen=True)
class Proof:
    """A contact verification, and the token that its contact received."""

    challenge: UUID
    token: object = field(repr=False)


def find(proof: Proof, *, storefront: Storefront, campaign: Campaign) -> Challenge:
    """Return the verification that a proof names, of this storefront and this campaign alone.

    Raises: NotFound, PurposeMismatch.
    """
    found = Challenge.objects.filter(pk=proof.challenge, storefront=storefront, campaign=campaign).first()
    if found is None:
        raise NotFound(resource="challenge")
    if found.purpose != Purpose.CONTACT:
        raise PurposeMismatch
    return found


@sensitive_variables()
def judge(challenge: Challenge, given: object, *, standing: Standing, trail: Trail) -> TwoFactorError | None:
    """Judge the token of a locked verification for a new participant; None means that it is theirs to begin with.

    Nothing is raised: a wrong token stays charged, and who is refused after the right one keeps the verification.
    """
    if challenge.participant_id is not None:
        return ChallengeClosed(challenge=challenge)
    if not challenge.is_final:
        digest = challenge.digest()
        error = verdicts.attempt(challenge, given, digest=digest, standing=standing, trail=trail)
    elif challenge.accepted is not None and not challenge.is_past_deadline(standing.at):
        error = contact_verifications.judge_again(challenge, given, standing=standing, trail=trail)
    else:
        error = ChallengeClosed(challenge=challenge)
    return error or shared_contacts.refused_to_another(challenge, trail)


def hand_over(challenge: Challenge, participant: Participant, trail: Trail) -> Device:
    """Make the contact of a judged verification the first device of a new participant: no other one can have it."""
    device = Device(
        participant=participant,
        user_id=participant.user_id,
        channel=challenge.channel,
        address=challenge.address,
        destination=challenge.destination,
    )
    device.save(force_insert=True)
    trail.add("device.registered", device, channel=device.channel, destination=device.destination)
    changes.apply(device, Challenge.Action.VERIFY, trail)
    challenge.change(participant=participant, device=device, guard=("participant",))
    if not challenge.is_token_expired(trail.at):
        # Who has just typed it need not wait for another one to log in for the first time.
        LoginGrant.objects.create(challenge=challenge, participant=participant, expires_at=challenge.live_until)
    return device


def not_new() -> Invalid:
    """Return the error of a proof for somebody who is a participant: their devices agree to a new one first."""
    return Invalid.field(
        "contact_verification",
        "only_on_creation",
        _("This participant exists already: register the contact as a device of theirs."),
    )
