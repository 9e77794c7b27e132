"""Two chapters of the story: somebody orders and somebody else approves, one thing and then several at once."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from example_project.loyalty.demo import company
from example_project.loyalty.demo.failure import DemoFailed, expect
from twofa.models import Channel

if TYPE_CHECKING:
    from example_project.loyalty.demo.story import Story

_LINES = (("Gooseneck kettle", "6200.00"), ("Desk lamp", "4800.00"), ("Stoneware mug", "649.50"))
_PATIENCE = 20.0


def approve(story: Story) -> None:
    """Lucas asks, Marta's own address gets the token, and what is above her limit is asked of nobody."""
    story.terminal.say(
        _("Lucas buys for his company. From 5,000 points a day on staff demand that Marta approves, up to 40,000.")
    )
    path = f"/campaigns/{company.SLUG}/redemptions/"
    above = story.order_of(Decimal("48000.00"), participant=company.BUYER)
    story.client.call("POST", path, above, expect=422, code="approver_not_entitled", show=("code", "detail"))
    expect(story.inbox.unread(), 0, _("messages"))
    story.terminal.say(_("Less than that: the token goes to her, and not to him who asks."))
    order = story.order_of(Decimal("15000.00"), participant=company.BUYER)
    show = ("id", "status", "approver", "two_factor.reason", "two_factor.challenge.destination")
    opened = story.checkout(company.SLUG, order, show=show)
    expect(opened.body["approver"], {"participant": company.DIRECTOR}, _("who approves"))
    story.redemption = opened.body["id"]
    done = story.confirm_with(story.receive(_("Marta"), channel=Channel.EMAIL), 200, show=("id", "status", "amount"))
    expect(done.body["status"], "completed", _("the redemption"))
    story.show_points(company.SLUG, company.BUYER, available="185000.00", reserved="0.00")


def approve_several(story: Story) -> None:
    """One token for three lines; each is completed for itself."""
    story.terminal.say(_("Three prizes, all or none of them opened, and one token for all. Its message has their sum."))
    lines = [
        {"order_id": f"B-1-{number}", "amount": amount, "description": name}
        for number, (name, amount) in enumerate(_LINES, start=1)
    ]
    body = {"request_id": "B-1", "participant": company.BUYER, "redemptions": lines}
    path = f"/campaigns/{company.SLUG}/redemption-batches/"
    opened = story.client.call(
        "POST", path, body, expect=201, show=("id", "status", "count", "total", "digest", "approver")
    )
    token = story.receive(_("Marta"), channel=Channel.EMAIL, says=opened.body["digest"])
    batch = f"/redemption-batches/{opened.body['id']}/"
    story.client.call("POST", f"{batch}confirm/", {"token": token}, expect=200, show=("id", "status", "completed_at"))
    ended = _wait_for_end(story, batch)
    expect(ended, ["completed"] * len(lines), _("the lines"))
    story.terminal.line()
    story.terminal.fact(_("Lines, each with its own outcome"), ", ".join(ended))
    story.show_points(company.SLUG, company.BUYER, available="173350.50", reserved="0.00")


def _wait_for_end(story: Story, path: str) -> list[str]:
    """Return the states of the lines, once all of them have ended. Raises: DemoFailed."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        batch = story.client.exchange("GET", f"/api/v1{path}", None, {}).body
        if batch["status"] != "completing":
            return [line["status"] for line in batch["redemptions"]]
        time.sleep(0.2)
    raise DemoFailed(_("The lines did not end within %(seconds)d seconds.") % {"seconds": _PATIENCE})
