"""Logins: a name and a password, then the token, then an access token of the participant's own."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from rest_framework.request import Request

from twofa.api import links, shapes
from twofa.api.base import Endpoint, respond
from twofa.api.fields import Input, Password, Raw, Text
from twofa.api.lookups import campaign_of
from twofa.api.operations import operation
from twofa.exceptions import OnboardingIncomplete
from twofa.flows import logins
from twofa.models import Scope

MOST_OF_A_NAME = 254


class LoginInput(Input):
    """`token` in the second call, with the same name and password."""

    username = Text(max_length=MOST_OF_A_NAME)
    password = Password()
    token = Raw(required=False)


LOGIN = LoginInput()


class LoginEndpoint(Endpoint):
    scope = Scope.CHALLENGES

    @operation(
        id="log_in",
        summary="Log a participant in",
        description=(
            "Only after a right password, 401 `token_required` names the challenge, with the header `X-Two-Factor: "
            "required; method=sms`; the same call with `token` answers it. Within the pause between messages the open "
            "challenge is named again, and nothing is sent. An `Idempotency-Key` is not looked at: no answer with an "
            "access token is ever stored."
        ),
        form=LOGIN,
        responses={200: shapes.Login},
        errors=(
            "invalid_credentials",
            "token_required",
            "not_found",
            "permission_denied",
            "token_malformed",
            "token_invalid",
            "token_superseded",
            "token_expired",
            "attempts_exhausted",
            "challenge_closed",
            "transaction_changed",
            "onboarding_incomplete",
            "channel_unavailable",
            "destination_not_allowed",
            "resend_cooldown",
            "resends_exhausted",
            "too_many_open_challenges",
            "failed_attempts_budget",
            "send_budget",
        ),
        request_example={"username": "ana@example.com", "password": "correct horse battery", "token": "7K2-M9Q"},
    )
    @method_decorator(sensitive_variables("members"))
    def post(self, request: Request, campaign: str) -> HttpResponse:
        members: dict[str, Any] = self.read(request, LOGIN)
        served = campaign_of(self.caller, campaign)
        try:
            done = logins.log_in(
                served,
                storefront=self.storefront,
                credentials=logins.Credentials(**members),
                actor=self.actor,
                request=request._request,
            )
        except OnboardingIncomplete as error:
            # The storefront gave a name: without the path it would not know whom to lead to their onboarding.
            if error.external_id is not None:
                self.links = links.of_participant(campaign, error.external_id)
            raise
        body: shapes.Login = {
            "access_token": done.issued.token,
            "token_type": "Bearer",
            "expires_in": done.issued.expires_in,
            "participant": done.participant.external_id,
        }
        return respond(200, body)
