"""Who asks and who approves, where an order has two people."""

from __future__ import annotations

from typing import Any

from example_project.shop.client import Refused
from example_project.shop.storefront import Row
from example_project.shop.visits import Visit


def of_order(visit: Visit, order: Row) -> dict[str, Any]:
    """Return the names of both, and whether the visitor is the one who approves; nothing where nobody has to."""
    if order["approver"] is None:
        return {}
    approving = visit.api.approves(order)
    return {
        "approver_name": name(visit, order["approver"]["participant"]),
        "asker_name": name(visit, order["participant"]),
        "approving": approving,
        # A field for the token here would ask two people to tell it to one another: the message says never to.
        "asked_elsewhere": not approving,
    }


def name(visit: Visit, external_id: str) -> str:
    """Return what a member is called: of one who is not there any more the id that the order has."""
    if external_id == visit.member.external_id:
        return visit.member.name
    try:
        return visit.api.name_of(external_id)
    except Refused as refused:
        if refused.code != "not_found":
            raise
    return external_id
