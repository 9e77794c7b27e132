"""Batches: several redemptions opened together, confirmed by one token, sent again, cancelled, read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.http import HttpResponse
from django.utils.translation import gettext
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from twofa.api import links, presenters, shapes
from twofa.api.base import Endpoint, parse_id, respond
from twofa.api.fields import ABOVE_ALL_AMOUNTS, Amount, Choice, Input, Items, Text
from twofa.api.lookups import ensure_slug, participant_of_batch
from twofa.api.operations import operation
from twofa.api.orders import MOST_ITEMS, ApproverInput, ItemInput, ensure_sum, ensure_way, named, stored_items
from twofa.api.redemptions import CONFIRMATION, NOTHING, RESEND
from twofa.exceptions import OnboardingIncomplete, TransitionRefused, WrongState
from twofa.flows import batch_checkouts, batches
from twofa.models import EXTERNAL_ID_PATTERN, MOST_LINES, Channel, RedemptionBatch, Scope


class LineInput(Input):
    """One redemption of a batch. The amounts of `items` add up to `amount`."""

    order_id = Text(max_length=128)
    amount = Amount()
    description = Text(max_length=200)
    items = Items(child=ItemInput(), required=False, max_length=MOST_ITEMS)

    def cross_check(self, values: dict[str, Any]) -> None:
        ensure_sum(values)


class BatchInput(Input):
    """Purchases of one participant, approved by one token: all of them, or none."""

    request_id = Text(max_length=128)
    participant = Text(max_length=128, pattern=EXTERNAL_ID_PATTERN)
    redemptions = Items(child=LineInput(), allow_empty=False, max_length=MOST_LINES)
    channel = Choice(choices=Channel.values, required=False, allow_null=True)
    approver = ApproverInput(required=False, allow_null=True)

    def cross_check(self, values: dict[str, Any]) -> None:
        ensure_way(values)
        seen: set[str] = set()
        twice: dict[int, Any] = {}
        for number, line in enumerate(values["redemptions"]):
            if line["order_id"] in seen:
                detail = gettext("Another line of this batch has this order id.")
                twice[number] = {"order_id": ErrorDetail(detail, "duplicate")}
            seen.add(line["order_id"])
        if twice:
            raise ValidationError({"redemptions": cast("Any", twice)})
        # The total is an amount like any other: told in answers and messages, and given back at confirm.
        if sum(line["amount"] for line in values["redemptions"]) >= ABOVE_ALL_AMOUNTS:
            detail = gettext("The amounts of all lines together have more than 12 digits.")
            raise ValidationError({"redemptions": ErrorDetail(detail, "total_too_large")})


BATCH = BatchInput()
_ID = "0197a1c2-5a3e-7d44-8a01-0c9b8a7d6e5f"
_REQUEST = {
    "request_id": "R-77",
    "participant": "u-42",
    "redemptions": [
        {"order_id": "A-1001", "amount": "15000.00", "description": "Noise-cancelling headphones"},
        {"order_id": "A-1002", "amount": "900.00", "description": "Mug"},
    ],
}
_CONFIRMABLE = (
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
)


class BatchesEndpoint(Endpoint):
    scope = Scope.CHECKOUT

    @operation(
        id="open_redemption_batch",
        summary="Open several redemptions with one token",
        description=(
            "1 to 100 lines; if one of them is invalid or refused, none is created, and `line` says which (from 0 on). "
            "The threshold is held against the total. The same `request_id` with the same content gives the same "
            "batch, 200, and sends nothing. The whole body has at most 256 KiB."
        ),
        form=BATCH,
        responses={200: shapes.RedemptionBatch, 201: shapes.RedemptionBatch},
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
    )
    def post(self, request: Request, campaign: str) -> HttpResponse:
        ensure_slug(campaign)
        order = _order(self.read(request, BATCH))
        self.links = links.of_participant(campaign, order.participant)

        def open_batch() -> HttpResponse:
            batch, created = batch_checkouts.open_batch(
                order, storefront=self.storefront, campaign=campaign, actor=self.actor
            )
            return respond(201 if created else 200, presenters.batch(batch))

        return self.once(request, open_batch)


class ChangingEndpoint(Endpoint):
    scope = Scope.CHECKOUT

    @contextmanager
    def told_of(self, pk: UUID) -> Iterator[None]:
        """Complete what a refusal says of a batch, which is looked up only once there is one.

        Raises: WrongState for a race that was lost, with the batch as the winner left it.
        """
        self.links = links.of_batch(pk)
        try:
            yield
        except TransitionRefused:
            raise WrongState(batch=batches.get(pk, storefront=self.storefront)) from None
        except OnboardingIncomplete:
            slug, external_id = participant_of_batch(self.storefront, pk)
            self.links = links.of_batch(pk, campaign=slug, participant=external_id)
            raise


class BatchEndpoint(Endpoint):
    scope = Scope.CHECKOUT

    @operation(
        id="get_redemption_batch",
        summary="Read a batch",
        description="Always current: one whose time is over says so. With all its lines.",
        responses={200: shapes.RedemptionBatch},
        errors=("not_found",),
    )
    def get(self, request: Request, batch_id: str) -> HttpResponse:
        batch = batches.get(parse_id(batch_id), storefront=self.storefront)
        return respond(200, presenters.batch(batch))


class BatchConfirmationEndpoint(ChangingEndpoint):
    @operation(
        id="confirm_redemption_batch",
        summary="Confirm a batch by its token",
        description=(
            "200 once every line has ended (`completed`, `partly_completed` or `failed`); 202 `completing`: the lines "
            "are completed one by one, each with its own outcome. The same token again: the stored state. An `amount` "
            "is held against the total before the token is looked at, and costs nothing."
        ),
        form=CONFIRMATION,
        responses={200: shapes.RedemptionBatch, 202: shapes.RedemptionBatch},
        errors=_CONFIRMABLE,
        request_example={"token": "7K2-M9Q", "amount": "15900.00"},
    )
    def post(self, request: Request, batch_id: str) -> HttpResponse:
        members = self.read(request, CONFIRMATION)
        pk = parse_id(batch_id)
        amount: Decimal | None = members.get("amount")

        def confirm() -> HttpResponse:
            with self.told_of(pk):
                batch = batches.confirm(
                    pk, storefront=self.storefront, token=members["token"], amount=amount, actor=self.actor
                )
            status = 202 if batch.status == RedemptionBatch.Status.COMPLETING else 200
            return respond(status, presenters.batch(batch))

        return self.once(request, confirm)


class BatchResendEndpoint(ChangingEndpoint):
    @operation(
        id="resend_redemption_batch_token",
        summary="Replace the token of a batch by a new one and send it",
        form=RESEND,
        responses={202: shapes.RedemptionBatch},
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
    def post(self, request: Request, batch_id: str) -> HttpResponse:
        channel = self.read(request, RESEND).get("channel")
        pk = parse_id(batch_id)

        def resend() -> HttpResponse:
            with self.told_of(pk):
                batch = batches.resend(pk, storefront=self.storefront, actor=self.actor, channel=channel)
            return respond(202, presenters.batch(batch))

        return self.once(request, resend)


class BatchCancellationEndpoint(ChangingEndpoint):
    @operation(
        id="cancel_redemption_batch",
        summary="Cancel a batch that waits, with all its lines",
        description="Safe to repeat: a cancelled one is answered as it is.",
        form=NOTHING,
        responses={200: shapes.RedemptionBatch},
        errors=("not_found", "wrong_state"),
    )
    def post(self, request: Request, batch_id: str) -> HttpResponse:
        self.read(request, NOTHING)
        pk = parse_id(batch_id)

        def cancel() -> HttpResponse:
            with self.told_of(pk):
                batch = batches.cancel(pk, storefront=self.storefront, actor=self.actor)
            return respond(200, presenters.batch(batch))

        return self.once(request, cancel)


def _order(members: dict[str, Any]) -> batch_checkouts.BatchOrder:
    lines = tuple(
        batch_checkouts.Line(
            order_id=line["order_id"],
            amount=line["amount"],
            description=line["description"],
            items=stored_items(line),
        )
        for line in members["redemptions"]
    )
    return batch_checkouts.BatchOrder(
        participant=members["participant"],
        request_id=members["request_id"],
        lines=lines,
        channel=members.get("channel"),
        approver=named(members),
    )
