"""Contact verifications: a token for an address before there is a participant whose it could be."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from twofa.api import shapes
from twofa.api.base import Endpoint, respond
from twofa.api.challenges import ASKING, present
from twofa.api.fields import Choice, Input, Locale, Text
from twofa.api.lookups import campaign_of
from twofa.api.operations import operation
from twofa.flows import contact_verifications
from twofa.models import Channel, Scope


class ContactInput(Input):
    """Where the token goes; `locale` is the language of its message."""

    channel = Choice(choices=Channel.values)
    address = Text(max_length=254)
    locale = Locale(required=False)


CONTACT = ContactInput()


class ContactVerificationsEndpoint(Endpoint):
    scope = Scope.CHALLENGES

    @operation(
        id="open_contact_verification",
        summary="Send a token to a contact of somebody who is not a participant yet",
        description=(
            "Answer it at `/challenges/{id}/verify/`, or give id and token with the new participant as "
            "`contact_verification`: then the contact is their first device, active at once."
        ),
        form=CONTACT,
        responses={201: shapes.ChallengeWithAction},
        errors=(*ASKING, "resend_cooldown"),
        request_example={"channel": "sms", "address": "+55 11 99999-0034", "locale": "pt-BR"},
    )
    def post(self, request: Request, campaign: str) -> HttpResponse:
        members = self.read(request, CONTACT)
        served = campaign_of(self.caller, campaign)

        def open_verification() -> HttpResponse:
            opened = contact_verifications.open_verification(
                served, storefront=self.storefront, actor=self.actor, **members
            )
            return respond(201, present(opened))

        return self.once(request, open_verification)
