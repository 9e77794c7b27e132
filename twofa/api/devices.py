"""Devices: what receives tokens. Where one is active, every change is authorized on it first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from twofa.api import authenticators, links, presenters, shapes
from twofa.api.base import Endpoint, respond
from twofa.api.campaigns import PAGING
from twofa.api.fields import Choice, Identifier, Input, Raw, Text
from twofa.api.lookups import contact_of, factor_of, participant_of
from twofa.api.operations import Parameter, operation
from twofa.api.pagination import paginate
from twofa.flows import authenticators as enrolments
from twofa.flows import devices
from twofa.models import Authenticator, Challenge, Channel, Device, Scope, Storefront, Unbound
from twofa.models.clock import Clock

VERDICTS = (
    "token_malformed",
    "token_invalid",
    "token_superseded",
    "token_expired",
    "attempts_exhausted",
    "challenge_closed",
    "wrong_state",
    "transaction_changed",
    "onboarding_incomplete",
    "permission_denied",
    "failed_attempts_budget",
)
SENDING = (
    "permission_denied",
    "channel_unavailable",
    "destination_not_allowed",
    "resend_cooldown",
    "failed_attempts_budget",
    "send_budget",
    "onboarding_incomplete",
)


class DeviceInput(Input):
    """A new device: an address, or an authenticator app (`totp`), which has none."""

    channel = Choice(choices=[*Channel.values, Unbound.TOTP.value])
    address = Text(max_length=254, required=False)
    name = Text(max_length=150, required=False)
    authorization = Identifier(required=False, allow_null=True)

    def cross_check(self, values: dict[str, Any]) -> None:
        is_app = values["channel"] == Unbound.TOTP
        if is_app and "address" in values:
            detail = gettext("An authenticator app has no address.")
            raise ValidationError({"address": ErrorDetail(detail, "not_of_an_app")})
        if not is_app and "address" not in values:
            raise ValidationError({"address": ErrorDetail(gettext("Give the address."), "required")})


class TokenInput(Input):
    """The token as the participant typed it."""

    token = Raw()


class NothingInput(Input):
    """No members: an empty body, or an empty object."""


DEVICE = DeviceInput()
TOKEN = TokenInput()
NOTHING = NothingInput()


class DevicesEndpoint(Endpoint):
    scope = Scope.ONBOARDING

    @operation(
        id="list_devices",
        for_participants=True,
        summary="List a participant's devices",
        description="Revoked ones are left out. Authenticator apps, two at most, are on the first page.",
        responses={200: shapes.DevicePage},
        errors=("not_found",),
        query=PAGING,
    )
    def get(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        participant = participant_of(self.caller, campaign, external_id)
        rows = Device.objects.filter(participant=participant).exclude(status=Device.Status.REVOKED)
        page = paginate(rows, request._request)
        shown = present_devices(page.rows, self.storefront)
        if page.previous is None:
            shown = [*map(authenticators.present, authenticators.living(participant=participant)), *shown]
        return respond(200, presenters.page(shown, page))

    @operation(
        id="register_device",
        for_participants=True,
        summary="Register a device",
        description=(
            "A token goes to the device itself. Where the participant has an active device, it goes there first: "
            "`authorization` is set and `challenge` is null. A known address: 200, no new message. An authenticator "
            "app (`totp`) is answered with what it reads, once; an `Idempotency-Key` is not looked at then. Where a factor "
            "stands, `authorization` names an answered challenge of purpose `step_up:authenticator_add`, and for an "
            "address, where that factor is an app alone, one of `step_up:device_add`."
        ),
        form=DEVICE,
        responses={200: shapes.Device, 201: shapes.NewDevice},
        errors=("not_found", *SENDING),
        request_example={"channel": "sms", "address": "+55 11 99999-0034", "name": "Ana's phone"},
    )
    def post(self, request: Request, campaign: str, external_id: str) -> HttpResponse:
        members = self.read(request, DEVICE)
        participant = participant_of(self.caller, campaign, external_id)
        self.links = links.of_participant(campaign, external_id)
        if members["channel"] == Unbound.TOTP:
            del members["channel"]
            enrolment = enrolments.enrol(participant, storefront=self.storefront, actor=self.actor, **members)
            return respond(201, authenticators.present_enrolment(enrolment))

        def register() -> HttpResponse:
            registration = devices.register(participant, storefront=self.storefront, actor=self.actor, **members)
            return respond(201 if registration.created else 200, present_device(registration.device, self.storefront))

        return self.once(request, register)


class DeviceEndpoint(Endpoint):
    scope = Scope.ONBOARDING

    @operation(
        id="get_device",
        for_participants=True,
        summary="Read a device",
        responses={200: shapes.Device},
        errors=("not_found",),
    )
    def get(self, request: Request, device_id: str) -> HttpResponse:
        return respond(200, present_factor(factor_of(self.caller, device_id), self.storefront))

    @operation(
        id="revoke_device",
        for_participants=True,
        summary="Revoke a device",
        description=(
            "An active one waits for a token from the current default device: 202 with `authorization`. An active "
            "authenticator app needs `authorization` at once: an answered challenge `step_up:authenticator_remove`."
        ),
        responses={202: shapes.Device, 204: None},
        errors=("not_found", "wrong_state", *SENDING),
        query=(Parameter("authorization", {"type": "string", "format": "uuid"}, "Of an authenticator app alone."),),
    )
    def delete(self, request: Request, device_id: str) -> HttpResponse:
        device = factor_of(self.caller, device_id)
        self.links = _links(device)
        if isinstance(device, Authenticator):
            given = request._request.GET.dict()
            agreed = authenticators.AGREEMENT.read({name: given[name] for name in given if name == "authorization"})
            enrolments.revoke(device, storefront=self.storefront, actor=self.actor, **agreed)
            return HttpResponse(status=204)
        registration = devices.revoke(device, storefront=self.storefront, actor=self.actor)
        if registration.authorization is None:
            return HttpResponse(status=204)
        return respond(202, present_device(registration.device, self.storefront))


class DeviceVerificationEndpoint(Endpoint):
    scope = Scope.ONBOARDING

    @operation(
        id="verify_device",
        for_participants=True,
        summary="Activate a device by its token",
        description=(
            "Of an authenticator app by a code of it; the answer has the first recovery codes, once, and an "
            "`Idempotency-Key` is not looked at."
        ),
        form=TOKEN,
        responses={200: shapes.VerifiedDevice},
        errors=("not_found", *VERDICTS),
        request_example={"token": "7K2-M9Q"},
    )
    def post(self, request: Request, device_id: str) -> HttpResponse:
        token = self.read(request, TOKEN)["token"]
        device = factor_of(self.caller, device_id)
        self.links = _links(device)
        if isinstance(device, Authenticator):
            confirmation = enrolments.confirm(device, token=token, actor=self.actor)
            return respond(200, authenticators.present_confirmation(confirmation))

        def verify() -> HttpResponse:
            verified = devices.verify(device, storefront=self.storefront, token=token, actor=self.actor)
            return respond(200, present_device(verified, self.storefront))

        return self.once(request, verify)


class DeviceAuthorizationEndpoint(Endpoint):
    scope = Scope.ONBOARDING

    @operation(
        id="authorize_device",
        for_participants=True,
        summary="Let a change of a device happen, by the current device's token",
        description="A new device's own token is sent now: `challenge` is set.",
        form=TOKEN,
        responses={200: shapes.Device},
        errors=(
            "not_found",
            *VERDICTS,
            "channel_unavailable",
            "destination_not_allowed",
            "resend_cooldown",
            "send_budget",
        ),
        request_example={"token": "7K2-M9Q"},
    )
    def post(self, request: Request, device_id: str) -> HttpResponse:
        token = self.read(request, TOKEN)["token"]
        device = contact_of(self.caller, device_id)
        self.links = _links(device)

        def authorize() -> HttpResponse:
            registration = devices.authorize(device, storefront=self.storefront, token=token, actor=self.actor)
            return respond(200, present_device(registration.device, self.storefront))

        return self.once(request, authorize)


class DeviceResendEndpoint(Endpoint):
    scope = Scope.ONBOARDING

    @operation(
        id="resend_device_token",
        for_participants=True,
        summary="Send the token that a device waits for once more",
        form=NOTHING,
        responses={202: shapes.Device},
        errors=("not_found", "wrong_state", "resends_exhausted", *SENDING),
    )
    def post(self, request: Request, device_id: str) -> HttpResponse:
        self.read(request, NOTHING)
        device = contact_of(self.caller, device_id)
        self.links = _links(device)

        def resend() -> HttpResponse:
            registration = devices.resend(device, storefront=self.storefront, actor=self.actor)
            return respond(202, present_device(registration.device, self.storefront))

        return self.once(request, resend)


class DeviceDefaultEndpoint(Endpoint):
    scope = Scope.ONBOARDING

    @operation(
        id="make_device_default",
        for_participants=True,
        summary="Make a device the default one",
        description="Waits for a token from the present default device: 202 with `authorization`.",
        form=NOTHING,
        responses={200: shapes.Device, 202: shapes.Device},
        errors=("not_found", "wrong_state", *SENDING),
    )
    def post(self, request: Request, device_id: str) -> HttpResponse:
        self.read(request, NOTHING)
        device = contact_of(self.caller, device_id)
        self.links = _links(device)

        def make_default() -> HttpResponse:
            registration = devices.make_default(device, storefront=self.storefront, actor=self.actor)
            status = 200 if registration.authorization is None else 202
            return respond(status, present_device(registration.device, self.storefront))

        return self.once(request, make_default)


def _links(device: Device | Authenticator) -> links.Links:
    """Return where an error about a device leads: to itself, and to what its participant still misses."""
    participant = device.participant
    return links.of_device(device.uuid, campaign=participant.campaign.slug, participant=participant.external_id)


def present_factor(found: Device | Authenticator, storefront: Storefront) -> shapes.Device:
    """Return a device with what it waits for, or an authenticator app."""
    return authenticators.present(found) if isinstance(found, Authenticator) else present_device(found, storefront)


def present_device(device: Device, storefront: Storefront) -> shapes.Device:
    """Return a device with what it waits for."""
    return present_devices([device], storefront)[0]


def present_devices(rows: Sequence[Device], storefront: Storefront) -> list[shapes.Device]:
    """Return devices with what each waits for, in one statement for all of them."""
    waiting = {challenge.subject_id: challenge for challenge in _open_challenges(rows, storefront)}
    return [presenters.device(device, waiting.get(device.pk)) for device in rows]


def _open_challenges(rows: Iterable[Device], storefront: Storefront) -> Iterator[Challenge]:
    """Return the open challenges about devices: the storefront's own, because it is the one that may answer them."""
    found = Challenge.objects.with_delivery().filter(
        subject__in=[device.pk for device in rows],
        storefront=storefront,
        status=Challenge.Status.PENDING,
        deadline__gt=Clock(),
    )
    for challenge in found.annotate(clock=Clock()):
        challenge.read_at = vars(challenge)["clock"]
        yield challenge
