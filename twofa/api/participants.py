"""Participants: enrolled and updated by the storefronts of their campaign."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from twofa.api import links, presenters, shapes
from twofa.api.base import Endpoint, respond
from twofa.api.devices import VERDICTS, present_devices
from twofa.api.fields import Choice, Identifier, Input, Locale, Password, Raw, Text
from twofa.api.logins import MOST_OF_A_NAME
from twofa.api.lookups import campaign_of, ensure_external_id, participant_of
from twofa.api.operations import operation
from twofa.flows import next_actions, onboarding, participants
from twofa.flows.accounts import Account
from twofa.flows.registrations import Proof
from twofa.models import Challenge, Method, Participant, Scope

AUTHORIZE = next_actions.NextAction("authorize_device")


class ProofInput(Input):
    """A contact verification, and the token that the contact received. Of a new participant only."""

    challenge_id = Identifier()
    token = Raw()


class EnrollmentInput(Input):
    """What is left out keeps its value; a new participant needs a name."""

    name = Text(max_length=150, required=False)
    document_number = Text(max_length=32, required=False)
    locale = Locale(required=False)
    contact_verification = ProofInput(required=False)
    username = Text(max_length=MOST_OF_A_NAME, required=False)
    password = Password(required=False)

    def cross_check(self, values: dict[str, Any]) -> None:
        for name, other in (("username", "password"), ("password", "username")):
            if name not in values and other in values:
                detail = gettext("Give name and password together.")
                raise ValidationError({name: ErrorDetail(detail, "required")})


class ParticipantInput(Input):
    """What is left out keeps its value."""

    name = Text(max_length=150, required=False)
    locale = Locale(required=False)
    two_factor_method = Choice(choices=Method.values, required=False)


ENROLLMENT = EnrollmentInput()
CHANGES = ParticipantInput()


class ParticipantEndpoint(Endpoint):
    scope = Scope.ONBOARDING

    @operation(
        id="put_participant",
        summary="Create or update a participant",
        form=ENROLLMENT,
        responses={200: shapes.Participant, 201: shapes.Participant},
        description=(
            "A new one may begin with a verified contact: `contact_verification` names the challenge and gives its "
            "token. The contact is an active device then, the default one; a wrong token creates nobody. With "
            "`username` and `password` the participant may log in, the first time with that same token."
        ),
        errors=("not_found", "wrong_state", "purpose_mismatch", *VERDICTS),
        request_example={"name": "Ana Souza", "document_number": "529.982.247-25", "locale": "pt-BR"},
    )
    @method_decorator(sensitive_variables("members", "asked", "password"))
    def put(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        members = self.read(request, ENROLLMENT)
        served = campaign_of(self.caller, campaign)
        ensure_external_id(external_id)
        asked = {"campaign": served, "external_id": external_id, "actor": self.actor, **members}
        username, password = asked.pop("username", None), asked.pop("password", None)
        if username is not None:
            asked["account"] = Account(username, password)
        named = asked.pop("contact_verification", None)
        if named is None:
            participant, created = participants.enroll(**asked)
        else:
            self.links = links.of_challenge(named["challenge_id"])
            proof = Proof(named["challenge_id"], named["token"])
            participant, created = participants.register(**asked, storefront=self.storefront, proof=proof)
        return respond(201 if created else 200, _present(participant))

    @operation(
        id="get_participant",
        for_participants=True,
        summary="Read a participant",
        responses={200: shapes.Participant},
        errors=("not_found",),
    )
    def get(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        return respond(200, _present(participant_of(self.caller, campaign, external_id)))

    @operation(
        id="patch_participant",
        for_participants=True,
        summary="Change a participant",
        description=(
            "Switching two-factor off needs a token from the active device, if any: 202 with `authorization`."
        ),
        form=CHANGES,
        responses={200: shapes.Participant, 202: shapes.ParticipantWithAuthorization},
        errors=(
            "not_found",
            "permission_denied",
            "onboarding_incomplete",
            "resend_cooldown",
            "failed_attempts_budget",
            "send_budget",
        ),
        request_example={"two_factor_method": "sms"},
    )
    def patch(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        members = self.read(request, CHANGES)
        participant = participant_of(self.caller, campaign, external_id)
        self.links = links.of_participant(campaign, external_id)
        changed, authorization = participants.update(
            participant, storefront=self.storefront, actor=self.actor, **members
        )
        if authorization is None:
            return respond(200, _present(changed))
        return respond(202, _present_waiting(changed, authorization))


class OnboardingEndpoint(Endpoint):
    scope = Scope.ONBOARDING

    @operation(
        id="get_onboarding",
        for_participants=True,
        summary="Read what a participant still needs",
        responses={200: shapes.Onboarding},
        errors=("not_found",),
    )
    def get(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        found = onboarding.read(participant_of(self.caller, campaign, external_id))
        where = links.of_participant(campaign, external_id)
        body: shapes.Onboarding = {
            "status": found.status,
            "required": found.required,
            "missing": found.missing,
            "checklist": [presenters.step(step) for step in found.steps],
            "devices": present_devices(found.devices, self.storefront),
            "documents": [presenters.document(document) for document in found.documents],
            "next_action": presenters.next_action(found.next_action, where),
        }
        return respond(200, body)


def _present(participant: Participant) -> shapes.Participant:
    return presenters.participant(participant, onboarding=onboarding.read(participant).status)


def _present_waiting(participant: Participant, authorization: Challenge) -> shapes.ParticipantWithAuthorization:
    where = links.NOWHERE if authorization.subject is None else links.of_device(authorization.subject.uuid)
    return {
        **_present(participant),
        "authorization": presenters.challenge(authorization),
        "next_action": presenters.next_action(AUTHORIZE, where),
    }
