"""Redemptions: opened, confirmed by a token, sent again, cancelled, read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpResponse, QueryDict
from rest_framework.request import Request

from twofa.api import links, presenters, shapes
from twofa.api.base import Endpoint, respond
from twofa.api.campaigns import PAGING
from twofa.api.fields import Amount, Choice, Identifier, Input, Items, Moment, Raw, Text
from twofa.api.lookups import campaign_of, ensure_slug, participant_of_redemption, redemption_of
from twofa.api.operations import Parameter, operation
from twofa.api.orders import MOST_ITEMS, ApproverInput, ItemInput, ensure_sum, ensure_way, named, stored_items
from twofa.api.pagination import paginate
from twofa.exceptions import OnboardingIncomplete, TransitionRefused, WrongState
from twofa.flows import checkouts, redemptions
from twofa.models import EXTERNAL_ID_PATTERN, Channel, Redemption, Scope
from twofa.models.clock import Clock


class OrderInput(Input):
    """A purchase with points. The amounts of `items` add up to `amount`."""

    participant = Text(max_length=128, pattern=EXTERNAL_ID_PATTERN)
    order_id = Text(max_length=128)
    amount = Amount()
    description = Text(max_length=200)
    items = Items(child=ItemInput(), required=False, max_length=MOST_ITEMS)
    channel = Choice(choices=Channel.values, required=False, allow_null=True)
    device = Identifier(required=False, allow_null=True)
    approver = ApproverInput(required=False, allow_null=True)
    scheduled_for = Moment(required=False, allow_null=True)

    def cross_check(self, values: dict[str, Any]) -> None:
        ensure_way(values)
        ensure_sum(values)


class ConfirmationInput(Input):
    """The token as the participant typed it; `amount`, where given, is held against the redemption's first."""

    token = Raw()
    amount = Amount(required=False)


class ResendInput(Input):
    """Another channel than before, where wanted."""

    channel = Choice(choices=Channel.values, required=False, allow_null=True)


class NothingInput(Input):
    """No members: an empty body, or an empty object."""


class FilterInput(Input):
    """The filters of a list."""

    status = Choice(choices=Redemption.Status.values, required=False)
    participant = Text(max_length=128, pattern=EXTERNAL_ID_PATTERN, required=False)
    order_id = Text(max_length=128, required=False)
    created_after = Moment(required=False)
    created_before = Moment(required=False)
    updated_after = Moment(required=False)


ORDER = OrderInput()
CONFIRMATION = ConfirmationInput()
RESEND = ResendInput()
NOTHING = NothingInput()
FILTERS = FilterInput()
_TIME = {"type": "string", "format": "date-time"}
_ID = "0197a1c2-5a3e-7b02-9d41-6f7e8a9b0c1d"
_REQUEST = {
    "participant": "u-42",
    "order_id": "A-1001",
    "amount": "15000.00",
    "description": "Noise-cancelling headphones",
    "items": [{"sku": "HP-1", "name": "Headphones", "quantity": 1, "amount": "15000.00"}],
}
_RESPONSE = {
    "id": _ID,
    "campaign": "verao",
    **_REQUEST,
    "status": "pending_2fa_approval",
    "test": False,
    "unit": "points",
    "batch": None,
    "approver": None,
    "scheduled_for": None,
    "two_factor": {
        "required": True,
        "reason": "campaign_required",
        "challenge": {
            "id": "0197a1c2-5a3e-7c11-8f00-2b1d3c4e5f60",
            "purpose": "redemption",
            "status": "pending",
            "channel": "sms",
            "destination": "+55 •• •••••-••34",
            "token_length": 6,
            "token_sequence": 1,
            "attempts_remaining": 5,
            "resends_remaining": 3,
            "issued_at": "2026-01-31T12:00:00Z",
            "expires_at": None,
            "deadline": "2026-01-31T12:30:00Z",
            "resend_available_at": "2026-01-31T12:00:30Z",
            "delivery": {"status": "queued", "reason": None},
        },
    },
    "next_action": {"type": "confirm_token", "path": f"/redemptions/{_ID}/confirm/"},
    "failure": None,
    "correlation_id": "order-1001",
    "created_at": "2026-01-31T12:00:00Z",
    "completed_at": None,
}


class RedemptionsEndpoint(Endpoint):
    scope = Scope.CHECKOUT

    @operation(
        id="list_redemptions",
        for_participants=True,
        summary="List your redemptions in a campaign",
        description="Always current: one whose time is over says so. Only your own storefront's.",
        responses={200: shapes.RedemptionPage},
        errors=("not_found",),
        query=(
            Parameter("status", {"type": "string", "enum": Redemption.Status.values}),
            Parameter("participant", {"type": "string"}, "Their `external_id`."),
            Parameter("order_id", {"type": "string"}),
            Parameter("created_after", _TIME),
            Parameter("created_before", _TIME),
            Parameter("updated_after", _TIME),
            *PAGING,
        ),
    )
    def get(self, request: Request, campaign: str) -> HttpResponse:
        filters = FILTERS.read(_given(request._request.GET))
        served = campaign_of(self.caller, campaign)
        rows = Redemption.objects.filter(storefront=self.storefront, campaign=served)
        if self.caller.participant is not None:
            rows = rows.filter(participant=self.caller.participant)
        page = paginate(redemptions.readable(_filtered(rows, **filters)), request._request)
        return respond(200, presenters.page(map(presenters.redemption, redemptions.current(page.rows)), page))

    @operation(
        id="open_redemption",
        summary="Open a redemption",
        description=(
            "The same `order_id` with the same content gives the same redemption, 200, and sends nothing; with another "
            "content it is refused. A new try is a new `order_id`. With an `approver`, or where the campaign demands "
            "one, the token goes to that person. With `scheduled_for` it is executed then, once approved."
        ),
        form=ORDER,
        responses={200: shapes.Redemption, 201: shapes.Redemption},
        errors=(
            "not_found",
            "permission_denied",
            "onboarding_incomplete",
            "order_conflict",
            "redemption_refused",
            "approver_not_entitled",
            "channel_unavailable",
            "destination_not_allowed",
            "too_many_open_challenges",
            "failed_attempts_budget",
            "send_budget",
        ),
        request_example=_REQUEST,
        response_examples={201: _RESPONSE},
    )
    def post(self, request: Request, campaign: str) -> HttpResponse:
        ensure_slug(campaign)
        order = _order(self.read(request, ORDER))
        self.links = links.of_participant(campaign, order.participant)

        def open_redemption() -> HttpResponse:
            redemption, created = checkouts.open_redemption(
                order, storefront=self.storefront, campaign=campaign, actor=self.actor
            )
            return respond(201 if created else 200, presenters.redemption(redemption))

        return self.once(request, open_redemption)


class ChangingEndpoint(Endpoint):
    scope = Scope.CHECKOUT

    @contextmanager
    def told_of(self, pk: UUID) -> Iterator[None]:
        """Complete what a refusal says of a redemption, which is looked up only once there is one.

        Raises: WrongState for a race that was lost, with the redemption as the winner left it.
        """
        try:
            yield
        except TransitionRefused:
            raise WrongState(redemption=redemptions.get(pk, storefront=self.storefront)) from None
        except OnboardingIncomplete:
            slug, external_id = participant_of_redemption(self.storefront, pk)
            self.links = links.of_redemption(pk, campaign=slug, participant=external_id)
            raise


class RedemptionEndpoint(Endpoint):
    scope = Scope.CHECKOUT

    @operation(
        id="get_redemption",
        for_participants=True,
        summary="Read a redemption",
        description="Always current: one whose time is over says so.",
        responses={200: shapes.Redemption},
        errors=("not_found",),
    )
    def get(self, request: Request, redemption_id: str) -> HttpResponse:
        redemption = redemptions.get(redemption_of(self.caller, redemption_id), storefront=self.storefront)
        return respond(200, presenters.redemption(redemption))


class ConfirmationEndpoint(ChangingEndpoint):
    @operation(
        id="confirm_redemption",
        for_participants=True,
        summary="Confirm a redemption by its token",
        description=(
            "200 `completed`, `scheduled` or `failed`; 202 `approved`, being completed. The same token again: the "
            "stored state. An `amount` that differs is told before the token is looked at, and costs nothing."
        ),
        form=CONFIRMATION,
        responses={200: shapes.Redemption, 202: shapes.Redemption},
        errors=(
            "not_found",
            "permission_denied",
            "token_malformed",
            "token_invalid",
            "token_superseded",
            "token_expired",
            "attempts_exhausted",
            "challenge_closed",
            "wrong_state",
            "transaction_changed",
            "onboarding_incomplete",
            "approver_not_entitled",
            "failed_attempts_budget",
        ),
        request_example={"token": "7K2-M9Q", "amount": "15000.00"},
    )
    def post(self, request: Request, redemption_id: str) -> HttpResponse:
        members = self.read(request, CONFIRMATION)
        pk = redemption_of(self.caller, redemption_id)
        self.links = links.of_redemption(pk)
        amount: Decimal | None = members.get("amount")

        def confirm() -> HttpResponse:
            with self.told_of(pk):
                redemption = redemptions.confirm(
                    pk, storefront=self.storefront, token=members["token"], amount=amount, actor=self.actor
                )
            status = 202 if redemption.status == Redemption.Status.APPROVED else 200
            return respond(status, presenters.redemption(redemption))

        return self.once(request, confirm)


class RedemptionResendEndpoint(ChangingEndpoint):
    @operation(
        id="resend_redemption_token",
        for_participants=True,
        summary="Replace the token by a new one and send it",
        form=RESEND,
        responses={202: shapes.Redemption},
        errors=(
            "not_found",
            "permission_denied",
            "challenge_closed",
            "wrong_state",
            "onboarding_incomplete",
            "approver_not_entitled",
            "channel_unavailable",
            "destination_not_allowed",
            "resend_cooldown",
            "resends_exhausted",
            "failed_attempts_budget",
            "send_budget",
        ),
        request_example={"channel": "email"},
    )
    def post(self, request: Request, redemption_id: str) -> HttpResponse:
        channel = self.read(request, RESEND).get("channel")
        pk = redemption_of(self.caller, redemption_id)
        self.links = links.of_redemption(pk)

        def resend() -> HttpResponse:
            with self.told_of(pk):
                redemption = redemptions.resend(pk, storefront=self.storefront, actor=self.actor, channel=channel)
            return respond(202, presenters.redemption(redemption))

        return self.once(request, resend)


class RedemptionCancellationEndpoint(ChangingEndpoint):
    @operation(
        id="cancel_redemption",
        for_participants=True,
        summary="Cancel a redemption that waits",
        description=(
            "While it waits for its token, or for the time that it is scheduled for. Safe to repeat: a cancelled one "
            "is answered as it is."
        ),
        form=NOTHING,
        responses={200: shapes.Redemption},
        errors=("not_found", "wrong_state"),
    )
    def post(self, request: Request, redemption_id: str) -> HttpResponse:
        self.read(request, NOTHING)
        pk = redemption_of(self.caller, redemption_id)

        def cancel() -> HttpResponse:
            with self.told_of(pk):
                redemption = redemptions.cancel(pk, storefront=self.storefront, actor=self.actor)
            return respond(200, presenters.redemption(redemption))

        return self.once(request, cancel)


def _order(members: dict[str, Any]) -> checkouts.Order:
    return checkouts.Order(
        participant=members["participant"],
        order_id=members["order_id"],
        amount=members["amount"],
        description=members["description"],
        items=stored_items(members),
        channel=members.get("channel"),
        device=members.get("device"),
        approver=named(members),
        scheduled_for=members.get("scheduled_for"),
    )


def _given(query: QueryDict) -> dict[str, str]:
    """Return the filters of a query; what is not one is ignored, as it is everywhere on the web."""
    return {name: value for name, value in query.items() if name in FILTERS.fields and isinstance(value, str)}


def _filtered(rows: QuerySet[Redemption], **filters: Any) -> QuerySet[Redemption]:
    conditions = {
        "participant": "participant__external_id",
        "order_id": "order_id",
        "created_after": "created_at__gt",
        "created_before": "created_at__lt",
        "updated_after": "updated_at__gt",
    }
    status = filters.pop("status", None)
    rows = rows.filter(**{conditions[name]: value for name, value in filters.items()})
    return rows if status is None else rows.filter(_standing(status))


def _standing(status: str) -> Q:
    """Return the condition of a state as it is now: one whose deadline has passed has expired, swept or not."""
    pending = Q(status=Redemption.Status.PENDING)
    # A line of a batch has no challenge of its own: it waits for as long as the batch does.
    if status == Redemption.Status.PENDING:
        return pending & (Q(challenge__deadline__gt=Clock()) | Q(batch__challenge__deadline__gt=Clock()))
    if status == Redemption.Status.EXPIRED:
        over = Q(challenge__deadline__lte=Clock()) | Q(batch__challenge__deadline__lte=Clock())
        return Q(status=status) | pending & over
    return Q(status=status)
