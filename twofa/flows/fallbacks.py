"""Another channel where the first is closed: its prefix paused, the day's SMS used up.

Only where nobody chose the channel. Whoever chose SMS is told that none is to be had, and chooses again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twofa.flows import facts, issuing
from twofa.flows.buyers import Buyer
from twofa.flows.facts import Budgets
from twofa.flows.issuing import Source
from twofa.flows.recipients import Recipient
from twofa.models import Campaign, Device, Participant


def reach(buyer: Buyer, recipient: Recipient, **order: Any) -> tuple[Recipient, Budgets]:
    """Return who gets the token of a checkout, by a contact that is not closed, and the budgets: see :func:`aim`."""
    asked: dict[str, Any] = {
        "participant": buyer.participant,
        "campaign": buyer.campaign,
        "recipient": recipient.participant,
        **order,
    }
    if recipient.contact is None or isinstance(recipient.contact, Source):
        return recipient, facts.budgets(contact=None, **asked)
    contact, budgets = aim([recipient.contact, *recipient.others], **asked)
    return replace(recipient, contact=contact), budgets


def aim(
    contacts: Sequence[Device], *, participant: Participant, campaign: Campaign, **order: Any
) -> tuple[Device, Budgets]:
    """Return the first of some contacts that is not closed, with the budgets as they were read for it.

    Where all of them are closed it is the first, whose budgets refuse it. One reading is one round trip, and there is a
    second one only where the first contact is closed. ``order`` is that of :func:`twofa.flows.facts.budgets`, such as
    the recipient, whose contacts all of them are. Call it with the participant locked.
    """
    first, *others = contacts
    asked: dict[str, Any] = {"participant": participant, "campaign": campaign, **order}
    budgets = facts.budgets(contact=first, others=others, **asked)
    if not others or not issuing.is_closed(budgets, campaign):
        return first, budgets
    for other in others:
        read = facts.budgets(contact=other, **asked)
        if not issuing.is_closed(read, campaign):
            return other, read
    return first, budgets
