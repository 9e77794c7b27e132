"""What an order is made of, whether it comes alone or as a line of a batch: its items, and who approves it."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from rest_framework.exceptions import ErrorDetail, ValidationError

from twofa.api import presenters
from twofa.api.fields import Amount, Choice, Input, Quantity, Text
from twofa.flows.recipients import Named
from twofa.models import Channel

MOST_ITEMS = 100


class ItemInput(Input):
    """A line; `amount` is the line's total."""

    sku = Text(max_length=128)
    name = Text(max_length=150)
    quantity = Quantity()
    amount = Amount()


class ApproverInput(Input):
    """Who approves in the participant's place, and by which channel to reach them."""

    document_number = Text(max_length=32)
    channel = Choice(choices=Channel.values, required=False, allow_null=True)


def ensure_way(values: dict[str, Any]) -> None:
    """Raise where the way to the participant is chosen although another person approves. Raises: ValidationError."""
    if values.get("approver") and (values.get("channel") or values.get("device")):
        detail = gettext("The token goes to the approver: say in “approver” by which channel, or leave it out.")
        field = "channel" if values.get("channel") else "device"
        raise ValidationError({field: ErrorDetail(detail, "not_with_approver")})


def ensure_sum(values: dict[str, Any]) -> None:
    """Raise where the items of a purchase are not what it costs. Raises: ValidationError."""
    items = values.get("items")
    if items and sum(item["amount"] for item in items) != values["amount"]:
        detail = gettext("The amounts of the items must add up to “amount”.")
        raise ValidationError({"items": ErrorDetail(detail, "sum_mismatch")})


def stored_items(members: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the items of a purchase as they are stored: amounts are texts with two places."""
    return [{**item, "amount": presenters.points(item["amount"])} for item in members.get("items", [])]


def named(members: dict[str, Any]) -> Named | None:
    """Return the approver whom the caller names."""
    approver = members.get("approver")
    return None if approver is None else Named(approver["document_number"], approver.get("channel"))
