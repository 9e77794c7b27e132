"""Challenges: asked for by purpose, answered by their own id; those of any purpose are read here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils.translation import gettext
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from twofa.api import links, presenters, shapes
from twofa.api.base import Endpoint, parse_id, respond
from twofa.api.devices import NOTHING, TOKEN
from twofa.api.fields import Choice, Identifier, Input, Text
from twofa.api.lookups import campaign_of, ensure_external_id, participant_of_challenge
from twofa.api.operations import operation
from twofa.api.redemptions import RESEND
from twofa.exceptions import OnboardingIncomplete
from twofa.flows import challenges
from twofa.models import STEP_UP, STEP_UP_PATTERN, Agreement, Challenge, Channel, Purpose, Scope, Unbound

ASKING = (
    "not_found",
    "permission_denied",
    "channel_unavailable",
    "destination_not_allowed",
    "failed_attempts_budget",
    "too_many_open_challenges",
    "send_budget",
)
CLOSING = ("not_found", "purpose_mismatch", "challenge_closed")


class ChallengeInput(Input):
    """What for, and by which way where that matters. `description` is shown in the message of a step-up."""

    purpose = Text(max_length=64, pattern=rf"{Purpose.LOGIN.value}|{STEP_UP_PATTERN}")
    channel = Choice(choices=[*Channel.values, *Unbound.values], required=False, allow_null=True)
    device = Identifier(required=False, allow_null=True)
    description = Text(max_length=200, required=False)

    def cross_check(self, values: dict[str, Any]) -> None:
        if "description" in values and not values["purpose"].startswith(STEP_UP):
            # What a message does not show nobody has agreed to.
            detail = gettext("Only a step-up has a description: the message of a login shows none.")
            raise ValidationError({"description": ErrorDetail(detail, "only_of_step_up")})
        if "description" in values and values["purpose"] in Agreement.values:
            detail = gettext("The message of this purpose says by itself what is agreed to: leave the description out.")
            raise ValidationError({"description": ErrorDetail(detail, "said_already")})


CHALLENGE = ChallengeInput()


class ChallengesEndpoint(Endpoint):
    scope = Scope.CHALLENGES

    @operation(
        id="open_challenge",
        summary="Ask a participant for a second factor",
        description=(
            "Outside of any redemption: for a login, or for whatever else you name (`step_up:<name>`). A participant "
            "who is not there, and a device or channel that this one has not, are 404 with their `resource`. `totp` "
            "and `otp` send no message: an authenticator app answers, or another django-otp device of the "
            "participant's user."
        ),
        form=CHALLENGE,
        responses={201: shapes.ChallengeWithAction},
        errors=(*ASKING, "onboarding_incomplete"),
        request_example={"purpose": "step_up:change-address", "description": "Change of the delivery address"},
    )
    def post(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        asked = challenges.Ask(external_id, **self.read(request, CHALLENGE))
        campaign_of(self.caller, campaign)
        ensure_external_id(external_id)
        self.links = links.of_participant(campaign, external_id)

        def open_challenge() -> HttpResponse:
            opened = challenges.open_challenge(asked, storefront=self.storefront, campaign=campaign, actor=self.actor)
            return respond(201, present(opened))

        return self.once(request, open_challenge)


class ChallengeEndpoint(Endpoint):
    scope = Scope.CHALLENGES

    @operation(
        id="get_challenge",
        summary="Read a challenge",
        description="Of any purpose.",
        responses={200: shapes.ChallengeWithAction},
        errors=("not_found",),
    )
    def get(self, request: Request, challenge_id: str) -> HttpResponse:
        return respond(200, present(challenges.get(parse_id(challenge_id), storefront=self.storefront)))


class _Answered(Endpoint):
    """What is answered by its own id."""

    scope = Scope.CHALLENGES

    @contextmanager
    def leading_on(self, pk: UUID) -> Iterator[None]:
        """Name with an error the way on: where the challenge is answered, and what its participant still misses."""
        self.links = links.of_challenge(pk)
        try:
            yield
        except OnboardingIncomplete:
            slug, external_id = participant_of_challenge(self.storefront, pk)
            self.links = links.of_challenge(pk, campaign=slug, participant=external_id)
            raise


class ChallengeVerificationEndpoint(_Answered):
    @operation(
        id="verify_challenge",
        summary="Answer a challenge by its token",
        description=(
            "Of a login, a step-up or a contact verification. The same token again: the stored state. A recovery code "
            "answers a login or a step-up in the place of its token. One of a redemption, a batch or a device is "
            "answered at that resource's own path."
        ),
        form=TOKEN,
        responses={200: shapes.ChallengeWithAction},
        errors=(
            *CLOSING,
            "token_malformed",
            "token_invalid",
            "token_superseded",
            "token_expired",
            "attempts_exhausted",
            "transaction_changed",
            "onboarding_incomplete",
            "permission_denied",
            "failed_attempts_budget",
        ),
        request_example={"token": "7K2-M9Q"},
    )
    def post(self, request: Request, challenge_id: str) -> HttpResponse:
        token = self.read(request, TOKEN)["token"]
        pk = parse_id(challenge_id)

        def verify() -> HttpResponse:
            with self.leading_on(pk):
                verified = challenges.verify(pk, storefront=self.storefront, token=token, actor=self.actor)
            return respond(200, present(verified))

        return self.once(request, verify)


class ChallengeResendEndpoint(_Answered):
    @operation(
        id="resend_challenge_token",
        summary="Send the token of a challenge once more",
        description=(
            "A new token: the one before is void. A contact verification stays on its channel. One that an "
            "authenticator app answers needs a `channel`, and is answered by the message from then on."
        ),
        form=RESEND,
        responses={202: shapes.ChallengeWithAction},
        errors=(
            *CLOSING,
            "permission_denied",
            "channel_unavailable",
            "destination_not_allowed",
            "resend_cooldown",
            "resends_exhausted",
            "failed_attempts_budget",
            "send_budget",
            "onboarding_incomplete",
        ),
    )
    def post(self, request: Request, challenge_id: str) -> HttpResponse:
        channel = self.read(request, RESEND).get("channel")
        pk = parse_id(challenge_id)

        def resend() -> HttpResponse:
            with self.leading_on(pk):
                renewed = challenges.resend(pk, storefront=self.storefront, actor=self.actor, channel=channel)
            return respond(202, present(renewed))

        return self.once(request, resend)


class ChallengeCancellationEndpoint(Endpoint):
    scope = Scope.CHALLENGES

    @operation(
        id="cancel_challenge",
        summary="Cancel a challenge",
        description="One that is cancelled already is answered as it is.",
        form=NOTHING,
        responses={200: shapes.ChallengeWithAction},
        errors=CLOSING,
    )
    def post(self, request: Request, challenge_id: str) -> HttpResponse:
        self.read(request, NOTHING)
        pk = parse_id(challenge_id)

        def cancel() -> HttpResponse:
            return respond(200, present(challenges.cancel(pk, storefront=self.storefront, actor=self.actor)))

        return self.once(request, cancel)


def present(challenge: Challenge) -> shapes.ChallengeWithAction:
    """Return a challenge with what to do about it, as it was read."""
    action = presenters.next_of_challenge(challenge)
    return {
        **presenters.challenge(challenge),
        "next_action": presenters.next_action(action, _where(challenge)),
    }


def _where(challenge: Challenge) -> links.Links:
    if challenge.redemption_id is not None:
        return links.of_redemption(challenge.redemption_id)
    if challenge.batch_id is not None:
        return links.of_batch(challenge.batch_id)
    if challenge.stands_alone:
        return links.of_challenge(challenge.pk)
    return links.NOWHERE if challenge.subject is None else links.of_device(challenge.subject.uuid)
