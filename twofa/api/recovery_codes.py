"""Recovery codes: issued ten at a time, shown once."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from rest_framework.request import Request

from twofa.api import shapes
from twofa.api.authenticators import AGREEMENT
from twofa.api.base import Endpoint, respond
from twofa.api.lookups import participant_of
from twofa.api.operations import operation
from twofa.flows import recovery_codes
from twofa.models import Scope


class RecoveryCodesEndpoint(Endpoint):
    scope = Scope.ONBOARDING

    @operation(
        id="count_recovery_codes",
        for_participants=True,
        summary="Read how many recovery codes are left",
        responses={200: shapes.RecoveryCodesLeft},
        errors=("not_found",),
    )
    def get(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        participant = participant_of(self.caller, campaign, external_id)
        return respond(200, {"left": recovery_codes.left(participant)})

    @operation(
        id="issue_recovery_codes",
        for_participants=True,
        summary="Replace the recovery codes",
        description=(
            "Ten new ones, shown once; those before them are void. Where a factor stands, `authorization` names an "
            "answered challenge of purpose `step_up:recovery_codes`. An `Idempotency-Key` is not looked at."
        ),
        form=AGREEMENT,
        responses={201: shapes.RecoveryCodes},
        errors=("not_found", "permission_denied"),
        request_example={"authorization": "0197a1c2-5a3e-7c11-8f00-2b1d3c4e5f60"},
    )
    @method_decorator(sensitive_variables("codes"))
    def post(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        members = self.read(request, AGREEMENT)
        participant = participant_of(self.caller, campaign, external_id)
        codes = recovery_codes.issue(participant, storefront=self.storefront, actor=self.actor, **members)
        return respond(201, {"codes": codes})
